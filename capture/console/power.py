"""Battery and heat of this machine on one line, where the system tells."""

from firsthand.capture.doctor.finding import Finding
from firsthand.capture.doctor.power import battery, heat


def power() -> str:
    """Such as ``battery 76%, discharging · temperature 61 °C (cpu)``; empty where nothing is known."""
    return one_line([*battery(), *heat()])


def one_line(findings: list[Finding]) -> str:
    """Those that have a figure; the name in capitals of what should be looked after."""
    known = [finding for finding in findings if any(c.isdigit() for c in finding.value)]
    return " · ".join(f"{f.what if f.verdict == 'ok' else f.what.upper()} {f.value}" for f in known)
