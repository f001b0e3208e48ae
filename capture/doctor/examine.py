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
    rate, measured = ASSUMED_BYTES_PER_S, False
    probes: list[Callable[[], list[Finding]]] = [
        lambda: leftovers.leftovers(library), machine.processor, machine.memory, power.battery, power.heat, machine.clock, usb.usb,
        encoders.encoders, lambda: disk.holes(folder), versions.versions,
    ]
    for done, probe in enumerate(probes, 1):
        yield from probe()
        if progress:
            progress("this machine", done, len(probes))
    if rig:
        told = (lambda done, total: progress("the rig", done, total)) if progress else None
        tried = dry_run(rig, seconds, folder, told)
        yield from tried
        found = bytes_per_s(tried)
        rate, measured = (found, True) if found else (rate, False)
    for done, probe in enumerate((lambda: disk.disk_speed(folder, rate), lambda: disk.room(folder, rate, measured)), 1):
        yield from probe()
        if progress:
            progress("the disk", done, 2)
