"""The machine: its processor and what keeps it busy, its memory, its clock."""

import os
import time
from pathlib import Path

from firsthand.capture.doctor.finding import Finding, Verdict, judged
from firsthand.capture.doctor.sysfs import text

LOAD = 0.5
"""Of each processor, before anything is recorded."""
MEMORY_GB = (2.0, 0.7)
"""Each device keeps its pre-roll and a few seconds in memory, and h5py, OpenCV and FFmpeg take 0.2 GB a process."""
CLOCK_READ_NS = 2_000
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
SHARED = Path("/dev/shm")


def processor() -> list[Finding]:
    """How many there are, and how busy."""
    count = available()
    try:
        load = os.getloadavg()[0] / count
    except (AttributeError, OSError):  # Windows
        return [Finding("processor", f"{count} cores; the system does not tell the load")]
    verdict: Verdict = "warn" if load > LOAD else "ok"
    return [Finding("processor", f"{count} cores, {load:.0%} busy in the last minute", f"≤ {LOAD:.0%}", verdict,
                    "end other programs before recording" if verdict != "ok" else "")]


def available() -> int:
    """Processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def memory(meminfo: Path = Path("/proc/meminfo")) -> list[Finding]:
    """Memory that is free for the devices' buffers. They are anonymous, so the size of /dev/shm does not bound them."""
    lines = dict(line.split(":", 1) for line in text(meminfo).splitlines() if ":" in line)
    if "MemAvailable" not in lines:
        return [Finding("memory", "the system does not tell")]
    free_gb = int(lines["MemAvailable"].split()[0]) * 1024 / 1e9
    verdict = judged(free_gb, *MEMORY_GB)
    return [Finding("memory", f"{free_gb:.1f} GB available", f"≥ {MEMORY_GB[0]:g} GB", verdict,
                    "end other programs, or ask for less pre_roll_s in the rig file" if verdict != "ok" else "")]


def clock(folder: Path = Path("/sys/devices/system/clocksource/clocksource0")) -> list[Finding]:
    """What time is read from, and what a reading costs. NTP or a person may set the time of day: no stamp is made of it."""
    source = text(folder / "current_clocksource")
    count = 2000
    start = time.perf_counter_ns()
    for _ in range(count):
        time.monotonic_ns()
    cost_ns = (time.perf_counter_ns() - start) / count
    slow = source in SLOW_CLOCKS or cost_ns > CLOCK_READ_NS
    advice = "every stamp costs this; boot with clocksource=tsc if the processor's counter is sound" if slow else ""
    return [Finding("clock", f"{source or 'the system does not tell which'}, {cost_ns:.0f} ns a reading",
                    f"≤ {CLOCK_READ_NS} ns", "warn" if slow else "ok", advice),
            Finding("clock steps", "harmless: stamps are monotonic")]
