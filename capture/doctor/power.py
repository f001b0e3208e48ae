"""Battery and heat, where the system tells them."""

from pathlib import Path

from firsthand.capture.doctor.finding import VERDICTS, Finding, Verdict, judged
from firsthand.capture.doctor.sysfs import entries, number, text

BATTERY_MIN = (120.0, 20.0)
BATTERY_SHARE = (0.5, 0.15)
HEAT_C = (80.0, 92.0)


def battery(folder: Path = Path("/sys/class/power_supply")) -> list[Finding]:
    """The machine's batteries, not those of a mouse."""
    found: list[Finding] = []
    for supply in entries(folder):
        if text(supply / "type") != "Battery" or text(supply / "scope") == "Device":
            continue
        share, status = (number(supply / "capacity") or 0) / 100, text(supply / "status").lower() or "unknown"
        value, verdict = f"{share:.0%}, {status}", VERDICTS[0]
        if status == "discharging":
            left = _minutes_left(supply)
            verdict = judged(share, *BATTERY_SHARE) if left is None else judged(left, *BATTERY_MIN)
            value += "" if left is None else f", {left:.0f} min left"
        found.append(Finding("battery", value, f"≥ {BATTERY_MIN[0]:.0f} min", verdict,
                             "plug it in" if verdict != "ok" else ""))
    return found or [Finding("battery", "none, as far as the system tells")]


def _minutes_left(supply: Path) -> float | None:
    for store, flow in (("energy_now", "power_now"), ("charge_now", "current_now")):
        have, use = number(supply / store), number(supply / flow)
        if have is not None and use:
            return have / abs(use) * 60
    return None


def heat(folder: Path = Path("/sys/class/thermal")) -> list[Finding]:
    """The hottest place that is measured; a hot processor slows down, then drops pictures."""
    zones = [(value / 1000, text(zone / "type") or zone.name) for zone in entries(folder)
             if zone.name.startswith("thermal_zone") and (value := number(zone / "temp")) is not None and value > 0]
    if not zones:
        return [Finding("temperature", "the system does not tell")]
    celsius, where = max(zones)
    verdict: Verdict = judged(celsius, *HEAT_C)
    return [Finding("temperature", f"{celsius:.0f} °C ({where})", f"≤ {HEAT_C[0]:.0f} °C", verdict,
                    "let it cool, and keep its air holes free when it is worn" if verdict != "ok" else "")]
