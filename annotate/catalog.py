"""The episodes of a library as rows to filter and page through, kept in the review store and read again only when files change."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Select, case, delete, false, func, insert, or_, select

from firsthand.annotate.store import Store
from firsthand.annotate.tables import annotations, episodes
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import SIDES
from firsthand.retarget.hand_track import ABSENT, open_derived

STATES = ("new", "draft", "submitted", "problem")
"""Label states, and ``problem`` for an episode that cannot be opened."""


@dataclass(frozen=True)
class Filter:
    """Which episodes to show; an empty field filters nothing."""

    task: str = ""
    session: str = ""
    state: str = ""
    flag: str = ""
    text: str = ""
    """Part of the id, the task or the instruction."""


@dataclass(frozen=True)
class EpisodeRow:
    """One episode as a line of Browse."""

    id: str
    session: str
    task: str
    """The instruction a person gave it, or what the wearer was asked to do."""
    state: str
    success: bool | None
    grade: int | None
    flags: tuple[str, ...]
    segments: int
    n_frames: int
    duration_s: float
    coverage: float | None
    """Part of the frames with a hand, 0..1; None before hands were found."""
    gaps: int
    findings: tuple[str, ...]
    robots: tuple[str, ...]
    problem: str
    author: str


def refresh(store: Store, found: Mapping[str, Episode], progress: Callable[[int, int], None] | None = None) -> None:
    """Bring the rows up to date with the episodes that were found; only changed ones are opened."""
    with store.reading() as connection:
        known = {row.id: row.stamp for row in connection.execute(select(episodes.c.id, episodes.c.stamp))}
    stamps = {id: _stamp(episode) for id, episode in found.items()}
    changed = [id for id, stamp in stamps.items() if known.get(id) != stamp]
    gone = [id for id in known if id not in found]
    rows = []
    for done, id in enumerate(changed):
        if progress:
            progress(done, len(changed))
        rows.append({"id": id, "session": id.partition("/")[0], "stamp": stamps[id], **_describe(store, found[id])})
    if rows or gone:
        with store.writing() as connection:
            for id in (*changed, *gone):
                connection.execute(delete(episodes).where(episodes.c.id == id))
            if rows:
                connection.execute(insert(episodes), rows)


def browse(store: Store, where: Filter, *, limit: int = 24, offset: int = 0) -> tuple[list[EpisodeRow], int]:
    """One page of the episodes that pass a filter, in order of id, and how many pass in all."""
    conditions = _conditions(where)
    query = _joined().where(*conditions).order_by(episodes.c.id).limit(limit).offset(offset)
    with store.reading() as connection:
        total = connection.execute(select(func.count()).select_from(_tables()).where(*conditions)).scalar_one()
        return [_row(row) for row in connection.execute(query).mappings()], int(total)


def find_row(store: Store, episode: str) -> EpisodeRow | None:
    """One episode's row; None when there is no such episode."""
    with store.reading() as connection:
        row = connection.execute(_joined().where(episodes.c.id == episode)).mappings().first()
    return _row(row) if row else None


def ids(store: Store, where: Filter) -> list[str]:
    """The ids of the episodes that pass a filter and can be opened, in order."""
    query = select(episodes.c.id).select_from(_tables()).where(*_conditions(where), episodes.c.problem == "").order_by(episodes.c.id)
    with store.reading() as connection:
        return list(connection.execute(query).scalars())


def after(store: Store, episode: str, where: Filter) -> str | None:
    """The next episode that passes a filter and is not submitted: behind this one, then from the start; None when all are."""
    todo = func.coalesce(annotations.c.state, "new") != "submitted"
    open_ones = (*_conditions(where), episodes.c.problem == "", todo, episodes.c.id != episode)
    query = select(episodes.c.id).select_from(_tables()).where(*open_ones).order_by(episodes.c.id <= episode, episodes.c.id).limit(1)
    with store.reading() as connection:
        found: str | None = connection.execute(query).scalar()
        return found


def choices(store: Store) -> tuple[list[str], list[str]]:
    """The tasks and the sessions there are."""
    with store.reading() as connection:
        tasks, sessions = (list(connection.execute(select(column).where(column != "").distinct().order_by(column)).scalars())
                           for column in (episodes.c.task, episodes.c.session))
    return tasks, sessions


def counts(store: Store) -> dict[str, float]:
    """Episodes by state, and ``hours`` in all."""
    state = _state()
    with store.reading() as connection:
        rows: Sequence[Any] = connection.execute(
            select(state, func.count(), func.sum(episodes.c.duration_s)).select_from(_tables()).group_by(state)).all()
    return {**dict.fromkeys(STATES, 0), **{row[0]: row[1] for row in rows}, "hours": sum(row[2] for row in rows) / 3600}


def _tables() -> Any:
    return episodes.outerjoin(annotations, annotations.c.episode_id == episodes.c.id)


def _state() -> ColumnElement[str]:
    return case((episodes.c.problem != "", "problem"), else_=func.coalesce(annotations.c.state, "new"))


def _joined() -> Select[Any]:
    kept = (annotations.c[name] for name in ("instruction", "success", "grade", "flags", "segments", "author"))
    return select(episodes, _state().label("state"), *kept).select_from(_tables())


def _conditions(where: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if where.task:
        found.append(episodes.c.task == where.task)
    if where.session:
        found.append(episodes.c.session == where.session)
    if where.state:
        found.append(_state() == where.state if where.state in STATES else false())
    if where.flag:
        found.append(annotations.c.flags.contains(json.dumps(where.flag), autoescape=True))
    searched = (episodes.c.id, episodes.c.task, annotations.c.instruction)
    return [*found, *(or_(*(column.icontains(word, autoescape=True) for column in searched)) for word in where.text.split())]


def _row(row: Any) -> EpisodeRow:
    return EpisodeRow(row["id"], row["session"], row["instruction"] or row["task"], row["state"], row["success"], row["grade"],
                      tuple(json.loads(row["flags"] or "[]")), row["segments"] or 0, row["n_frames"], row["duration_s"],
                      row["coverage"], row["gaps"], tuple(json.loads(row["findings"])), tuple(json.loads(row["robots"])),
                      row["problem"], row["author"] or "")


def _stamp(episode: Episode) -> str:
    """What changes when a stage adds or replaces a file: name, size and time of each."""
    parts = []
    for path in sorted(episode.path.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            stat = path.stat()
            parts.append(f"{path.name}:{stat.st_size}:{stat.st_mtime_ns}")
    return "|".join(parts)


def _describe(store: Store, episode: Episode) -> dict[str, Any]:
    """The columns of an episode's row, read from its files; a fault becomes its ``problem``."""
    row: dict[str, Any] = {"task": "", "source": "", "n_frames": 0, "duration_s": 0.0, "coverage": None, "gaps": 0, "findings": "[]",
                           "robots": json.dumps(episode.robots()), "problem": ""}
    try:
        with episode.recording() as recording:
            camera = recording.camera()
            row |= {"task": recording.task, "source": recording.source, "n_frames": len(camera), "duration_s": recording.duration_s,
                    "gaps": sum(int(gap.get("missing", 0)) for _, gap in recording.gaps)}
        if episode.hands_path.exists():
            with open_derived(episode.hands_path, "firsthand.hands", "firsthand process") as file:
                seen = [(file[f"tracks/{side}/provenance"][()] != ABSENT).all(1) for side in SIDES if f"tracks/{side}" in file]
                row["coverage"] = float(np.mean(np.logical_or.reduce(seen))) if seen else 0.0
                row["findings"] = json.dumps([str(finding) for finding in file.attrs["findings"]])
        store.open_episode(episode, row["n_frames"])  # reads back an annotations.json that is newer
    except (FirsthandError, OSError, KeyError, ValueError) as error:  # a damaged file must not close the library to the rest
        ours = isinstance(error, FirsthandError)
        row["problem"] = str(error) if ours else f"{episode.path} cannot be read: {type(error).__name__} {error}"
    return row
