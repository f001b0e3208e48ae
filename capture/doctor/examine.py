"""The doctor: every probe in turn, before a day of collecting."""

from collections.abc import Callable, Iterator
from pathlib import Path

from firsthand.capture.doctor import disk, encoders, leftovers, machine, power, usb, versions
from firsthand.capture.doctor.dry_run import bytes_per_s, dry_run
from firsthand.capture.doctor.finding import Finding
from firsthand.capture.rig import Rig

ASSUMED_BYTES_PER_S = 8_000_000.0
"""One 1080p30 camera as JPEG."""


def examine(library: Path, rig: Rig | None = None, *, seconds: float = 10.0,
            progress: Callable[[str, int, int], None] | None = None) -> Iterator[Finding]:
    """Look at the machine and the disk that `library` is or will be on; with a rig, try its devices for so many seconds.

    Findings come as they are found. `progress` is told what is being done: (what, done, total).
    """
    folder = disk.existing(library)
    probes: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("interrupted takes", lambda: leftovers.leftovers(folder if folder == library.resolve() else library)),
        ("processor", machine.processor), ("memory", machine.memory), ("battery", power.battery), ("temperature", power.heat),
        ("clock", machine.clock), ("USB", usb.usb), ("encoders", encoders.encoders), ("sparse files", lambda: disk.holes(folder)),
    ]
    rate, measured = ASSUMED_BYTES_PER_S, False
    for done, (what, probe) in enumerate(probes):
        if progress:
            progress(f"looking at {what}", done, len(probes))
        yield from probe()
    if rig:
        told = (lambda done, total: progress("trying the rig", done, total)) if progress else None
        tried = dry_run(rig, seconds, folder, told)
        yield from tried
        found = bytes_per_s(tried)
        rate, measured = (found, True) if found else (rate, False)
    yield from disk.disk_speed(folder, rate)
    yield from disk.room(folder, rate, measured)
    yield from versions.versions()
