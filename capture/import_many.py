"""Importing many sources: several processes, what is bad put into quarantine, what is in already left alone."""

import glob
import os
import queue
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.importer import IMPORTERS, sweep
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode
from firsthand.capture.live.child import Child, Events
from firsthand.capture.plugins import find, names
from firsthand.capture.quarantine import read_quarantine, refused, update_quarantine

WORKER = "firsthand.capture.import_worker"
LOOK_S = 0.25
SILENT_S = 600.0
"""A take that reports nothing for so long is given up. Finishing a long recording is one silent step."""


@dataclass(frozen=True)
class Imported:
    """A take that is in the library."""

    source: Path
    importer: str
    take: str
    episode: Episode
    new: bool
    """It was not there before."""


@dataclass(frozen=True)
class Fault:
    """A source, or one take of it, that is not in the library, and why."""

    source: Path
    reason: str
    quarantined: bool
    """The content is at fault; it is not tried again."""


@dataclass
class Report:
    """What came of it all, in the order of the sources."""

    imported: list[Imported] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)
    """Files found in folders that no importer reads."""


@dataclass(frozen=True)
class _Job:
    """A source to look at, or with a number one of its takes to import."""

    source: Path
    place: tuple[int, ...]
    named: bool = True
    """A person named it; else it was found in a folder."""
    importer: str = ""
    take: int | None = None
    takes: tuple[str, ...] = ()


def import_many(sources: Sequence[str | Path], library: Path, asked: Asked, *, wearer: str = "w00", importer: str | None = None,
                workers: int | None = None, silent_s: float = SILENT_S, retry: bool = False,
                progress: Callable[[int, int], None] | None = None) -> Report:
    """Import files, folders (searched through) and patterns such as ``"clips/*.mp4"``, in processes of their own.

    One that is bad, hangs or crashes its reader is listed in the library's quarantine with the reason, and the rest go on; next time it
    is passed by, unless its content changed or `retry` says so. Stopped at any moment, the same call goes on where it was.
    `progress` counts takes; when there is one only, what that take counts.
    """
    if importer:
        find("importers", IMPORTERS, importer)
    if library.exists() and not library.is_dir():
        raise FirsthandError(f"cannot write to {library}: it is a file; a library is a folder")
    try:
        library.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=library):  # told now, not by each source
            pass
    except OSError as error:
        raise FirsthandError(f"cannot write to {library}: {reason(error)}") from error
    read_quarantine(library)  # a damaged list is told before anything is begun
    sweep(library)
    report = Report()
    jobs = [_Job(path, (n,)) for n, path in enumerate(_expand(sources))]
    config = {"library": str(library), "asked": asdict(asked), "wearer": wearer, "importer": importer, "retry": retry}
    count = max(1, workers or min(os.cpu_count() or 1, 8))
    try:
        with _Pool(count, config, silent_s) as pool:
            takes = _look(pool, jobs, report)
            _import(pool, takes, library, report, progress)
    finally:
        sweep(library)  # what a process that crashed or was ended had begun
    report.faults.sort(key=lambda fault: str(fault.source))
    return report


def _expand(sources: Sequence[str | Path]) -> Iterator[Path]:
    for source in map(str, sources):
        if glob.has_magic(source) and not Path(source).exists():
            found = sorted(glob.glob(source, recursive=True))
            if not found:
                raise FirsthandError(f"nothing matches {source}")
            yield from map(Path, found)
        else:
            yield Path(source)


def _look(pool: "_Pool", jobs: Sequence[_Job], report: Report) -> list[_Job]:
    """Every take of the sources, in order; folders are searched through."""
    found: list[_Job] = []
    seen: set[Path] = set()
    covered: set[str] = set()
    waiting = deque(jobs)
    for job, answer in pool.run(waiting):
        if "reason" in answer:
            report.faults.append(Fault(job.source, answer["reason"], False))
        elif "inside" in answer:
            inside = [Path(path) for path in answer["inside"]]
            fresh = [path for path in inside if path.resolve() not in seen]
            seen.update(path.resolve() for path in fresh)
            waiting.extend(_Job(path, (*job.place, n), named=False) for n, path in enumerate(fresh))
        elif answer["importer"]:
            covered.update(answer["files"])
            names_of = tuple(answer["takes"])
            found += [_Job(job.source, (*job.place, n), job.named, answer["importer"], n, names_of) for n in range(len(names_of))]
        elif job.named:
            known = ", ".join(names("importers", IMPORTERS))
            report.faults.append(Fault(job.source, f"{job.source} is no kind of file firsthand imports (it reads {known})", False))
        else:
            report.passed_over.append(job.source)
    found = [job for job in found if job.named or str(job.source.resolve()) not in covered]
    report.passed_over = [path for path in report.passed_over if str(path.resolve()) not in covered]
    return sorted(found, key=lambda job: job.place)


def _import(pool: "_Pool", takes: Sequence[_Job], library: Path, report: Report, progress: Callable[[int, int], None] | None) -> None:
    made: list[tuple[_Job, Imported]] = []
    if len(takes) == 1 and progress:
        pool.progress = progress
    for n, (job, answer) in enumerate(pool.run(deque(takes)), 1):
        assert job.take is not None
        this = refused(job.source, job.importer, job.take, answer.get("content", ""), answer.get("reason", ""))
        if "reason" in answer:
            label = "" if len(job.takes) == 1 else f" (take {job.takes[job.take]})"
            report.faults.append(Fault(job.source, answer["reason"] + label, answer["damaged"]))
            if answer["damaged"]:
                update_quarantine(library, add=(this,))
        elif "quarantined" in answer:
            report.faults.append(Fault(job.source, answer["quarantined"], True))
        else:
            imported = Imported(job.source, job.importer, job.takes[job.take], Episode(Path(answer["episode"])), answer["new"])
            made.append((job, imported))
            update_quarantine(library, clear=(this,))
        if progress and len(takes) > 1:
            progress(n, len(takes))
    report.imported = [imported for _, imported in sorted(made, key=lambda pair: pair[0].place)]


class _Pool:
    """Processes that work off orders, one each at a time; one that hangs or crashes is replaced."""

    def __init__(self, count: int, config: dict[str, Any], silent_s: float) -> None:
        self._count, self._config, self._silent_s = count, config, silent_s
        self._events: Events = queue.Queue()
        self._logs = tempfile.TemporaryDirectory(prefix="firsthand-import-")
        self._children: dict[str, Child] = {}
        self._busy: dict[str, tuple[_Job, float, dict[str, Any]]] = {}
        """What each is at, when it was last heard, and what it said of the take so far."""
        self._started = 0
        self.progress: Callable[[int, int], None] = lambda done, total: None

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for name, child in self._children.items():
            if name in self._busy:
                child.process.kill()
            child.end()
        for child in self._children.values():
            child.wait(5.0)
        self._logs.cleanup()

    def run(self, waiting: deque[_Job]) -> Iterator[tuple[_Job, dict[str, Any]]]:
        """Work off orders, more of which may be added meanwhile; yields each with what came of it: an answer, or a ``reason``."""
        while waiting or self._busy:
            self._hand_out(waiting)
            try:
                name, event = self._events.get(timeout=LOOK_S)
            except queue.Empty:
                self._end_silent()
                continue
            if name not in self._busy:  # the end of one that had nothing to do
                self._children.pop(name, None)
                continue
            job, _, said = self._busy[name]
            kind = event.pop("event")
            if kind in ("began", "status"):
                said.update(event)
                self._busy[name] = (job, time.monotonic(), said)
                if kind == "status":
                    self.progress(event["done"], event["total"])
                continue
            del self._busy[name]
            if kind == "gone":
                del self._children[name]
                why = said.get("gave_up") or f"crashed its reader: {event['reason']} (exit code {event['code']})"
                event = {"reason": f"cannot import {job.source}: it {why}; copy it again from the device, or leave it out", "damaged": True}
            yield job, {**said, **event}
            self._end_silent()

    def _hand_out(self, waiting: deque[_Job]) -> None:
        """Give every process that has nothing to do the next order; start one while fewer run than may."""
        while waiting:
            idle = next((name for name in self._children if name not in self._busy), None)
            if idle is None:
                if len(self._children) >= self._count:
                    return
                idle = self._start()
            job = waiting.popleft()
            self._busy[idle] = (job, time.monotonic(), {})
            order = {"do": "look" if job.take is None else "take", "source": str(job.source), "take": job.take}
            self._children[idle].send(order)

    def _start(self) -> str:
        self._started += 1
        name = f"importer {self._started}"
        log = Path(self._logs.name) / f"{self._started}.log"
        self._children[name] = Child(name, WORKER, log, self._config, (), self._events)
        return name

    def _end_silent(self) -> None:
        for name, (_, heard_s, said) in self._busy.items():
            if time.monotonic() - heard_s > self._silent_s and "gave_up" not in said:
                said["gave_up"] = f"hung: nothing happened for {self._silent_s:g} s"
                self._children[name].process.kill()
