"""The rows of the screen that tell of devices and streams: a word for each light, so that no colour is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firsthand.capture.live.status import DeviceStatus, Status, StreamStatus

Light = Literal["GREEN", "AMBER", "RED"]
LIGHTS: tuple[Light, ...] = ("RED", "AMBER", "GREEN")
"""Worst first."""
REASONS = 3
"""That are told for what was left out."""
SLOW = 0.9
"""Of the nominal rate."""
LOSES = 0.02
"""Of its samples in this take."""
LATELY_S = 5.0
"""So long after a message was left out the light is amber."""
SETTLE_S = 3.0
"""After a device was opened, before its rates mean anything."""
HEADER = f"{'':7}{'STREAM':<16}{'RATE':>7} {'OF':<7}{'MISSING':>8}{'DROPPED':>8}{'AGE s':>8}{'DRIFT ppm':>11}"


@dataclass(frozen=True)
class Row:
    """One device that is not there, or one stream."""

    light: Light
    text: str
    table: bool = False
    """Under the header: cut where it is too long, as a sentence is not."""


def device_rows(status: Status) -> list[Row]:
    """All rows in the rig's order, those with a bad light first."""
    rows = []
    for device in status.devices:
        streams = [stream for stream in status.streams if stream.device == device.name]
        rows += [_stream_row(device, stream) for stream in streams] if device.state == "running" and streams else [_device_row(device)]
        if device.state == "running" and device.rejected:
            rows.append(_rejected_row(device))
    return sorted(rows, key=lambda row: LIGHTS.index(row.light))


def fitting(rows: Sequence[Row], most: int) -> list[Row]:
    """The first `most` rows; the last of them says how many more there are."""
    if len(rows) <= most:
        return list(rows)
    left = rows[most - 1 :]
    return [*rows[: most - 1], Row(left[0].light, f"and {len(left)} more, none worse than this light")][: max(most, 0)]


def _device_row(device: DeviceStatus) -> Row:
    if device.state == "running":
        return Row("GREEN", f"{device.name:<16}there, no streams yet")
    word = {"opening": "is being opened", "vanished": "is not there", "ended": "has ended", "failed": "FAILED"}[device.state]
    needed = "" if device.required else ", not required"
    since = f" for {device.since_s:.0f} s" if device.state == "vanished" else ""
    reason = f": {device.reason.removeprefix(f'{device.name}: ')}" if device.reason else ""
    return Row("RED" if device.required else "AMBER", f"{device.name:<16}{word}{since}{needed}{reason}")


def _rejected_row(device: DeviceStatus) -> Row:
    """What came and was no sample, the most frequent reasons first."""
    counts = sorted(device.rejected.items(), key=lambda item: -item[1])
    told = ", ".join(f"{why} ({count})" for why, count in counts[:REASONS]) + (", ..." if len(counts) > REASONS else "")
    lately = device.rejected_s is not None and device.rejected_s < LATELY_S
    return Row("AMBER" if lately else "GREEN", f"{device.name:<16}LEFT OUT {sum(device.rejected.values())}: {told}")


def _stream_row(device: DeviceStatus, s: StreamStatus) -> Row:
    nominal = f"{s.nominal_hz:<7.4g}" if s.nominal_hz else "-      "
    slow = s.nominal_hz is not None and s.nominal_hz >= 2 and s.rate_hz < SLOW * s.nominal_hz and device.since_s > SETTLE_S
    drift = "-" if s.drift_ppm is None else f"{s.drift_ppm:+.1f}"
    age = "-" if s.age_s is None else f"{s.age_s:.2f}"
    text = f"{s.name[:15]:<16}{s.rate_hz:>7.1f} {nominal}{s.missing:>8}{s.dropped:>8}{age:>8}{drift:>11}"
    loses = s.missing > LOSES * max(s.samples, 1)
    word = " SLOW" if slow else " DROPS" if s.dropped else " LOSES" if loses else ""
    return Row("AMBER" if word else "GREEN", text + word, table=True)
