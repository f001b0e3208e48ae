"""The review store: every episode's annotation with its version, and an event for every change, never altered.

SQLite beside the episodes (``firsthand.db``, write-ahead log); another database by its SQLAlchemy URL. What is submitted also goes to
the episode's ``annotations.json``, which is read back when it is newer than the store, or the store is new.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, create_engine, event, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from firsthand.annotate.annotation import Annotation, read_annotation, write_annotation
from firsthand.annotate.tables import METADATA, annotations, events
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import STORE, Episode

State = Literal["new", "draft", "submitted"]


@dataclass(frozen=True)
class Saved:
    """What the store holds of one episode."""

    version: int
    """Counts every saved change; 0 before the first."""
    state: State
    annotation: Annotation


@dataclass(frozen=True)
class Edit:
    """Who changes an episode, from which version, and under which name of the change, so that a retry is not a second change."""

    author: str
    base_version: int
    client_id: str
    client_rev: int


class Conflict(FirsthandError):  # noqa: N818 - the word people use
    """Somebody else saved since the version an edit started from."""

    def __init__(self, episode: str, saved: Saved) -> None:
        who = saved.annotation.author or "somebody else"
        super().__init__(f"{episode} was changed by {who} meanwhile (version {saved.version}); choose which to keep")
        self.saved = saved


class Store:
    """An open review store. Safe to share between threads and with other processes."""

    def __init__(self, url: str) -> None:
        """Open or create the store at an SQLAlchemy URL. Raises `FirsthandError` when it cannot be written."""
        self.url = url
        try:
            self._read, self._write = _engine(url, writes=False), _engine(url, writes=True)
            METADATA.create_all(self._write)
        except SQLAlchemyError as error:
            where = make_url(url).render_as_string(hide_password=True)
            raise FirsthandError(f"cannot open the review store {where}: {_reason(error)}; its folder must be writable") from error

    def close(self) -> None:
        """Close every connection."""
        self._read.dispose()
        self._write.dispose()

    def open_episode(self, episode: Episode, n_frames: int) -> Saved:
        """What is known of an episode: the store's own, or its ``annotations.json`` when that is newer or the store has nothing."""
        with self.reading() as connection:
            row = connection.execute(_of(episode.id)).mappings().first()
        fingerprint = _fingerprint(episode.annotations_path)
        if fingerprint and (row is None or fingerprint != row["file_sha256"]):
            found = read_annotation(episode.annotations_path)
            if found is not None and found.n_frames != n_frames:
                raise FirsthandError(
                    f"{episode.annotations_path} is for {found.n_frames} frames, the recording has {n_frames}; move it away")
            if found is not None and (row is None or found.version >= row["submitted_version"]):
                return self._read_back(episode.id, found, fingerprint, row["version"] if row else 0)
        return Saved(0, "new", Annotation(n_frames)) if row is None else _saved(row)

    def save(self, episode: str, annotation: Annotation, edit: Edit) -> int:
        """Keep an edit; return the version it became. A retry of a kept edit changes nothing and returns the same.

        Raises `Conflict` when the episode is no longer at the version the edit started from.
        """
        with self._writing() as connection:
            return self._change(connection, episode, annotation, edit, "save", state="draft")

    def submit(self, episode: Episode, annotation: Annotation, edit: Edit) -> int:
        """Keep an edit as `save` does, call it submitted, and write ``annotations.json``. Both happen, or neither."""
        with self._writing() as connection:
            done = _already(connection, edit)
            if done is not None:
                return done
            row = connection.execute(_of(episode.id)).mappings().first()
            whole = replace(annotation, version=(row["submitted_version"] if row else 0) + 1, author=edit.author)
            version = self._change(connection, episode.id, whole, edit, "submit", state="submitted", submitted_version=whole.version)
            write_annotation(episode.annotations_path, whole)
            fingerprint = _fingerprint(episode.annotations_path)
            connection.execute(update(annotations).where(annotations.c.episode_id == episode.id).values(file_sha256=fingerprint))
            return version

    def history(self, episode: str) -> list[dict[str, Any]]:
        """Every change of an episode, oldest first, each with the whole document as it then was."""
        with self.reading() as connection:
            rows = connection.execute(select(events).where(events.c.episode_id == episode).order_by(events.c.seq)).mappings()
            return [{**row, "doc": json.loads(row["doc"])} for row in rows]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads; never waits for a writer."""
        with self._read.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start: two that read first and write later would fail each other."""
        try:
            with self._write.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise FirsthandError(f"the review store cannot be written: {_reason(error)}; nothing was saved") from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction for the other tables of the store."""
        with self._writing() as connection:
            yield connection

    def _read_back(self, episode: str, found: Annotation, fingerprint: str, base: int) -> Saved:
        edit = Edit(found.author, base, f"file:{episode}", int(fingerprint[:12], 16))
        with self._writing() as connection:
            version = self._change(connection, episode, found, edit, "import", state="submitted", submitted_version=found.version,
                                   file_sha256=fingerprint)
        return Saved(version, "submitted", replace(found, version=found.version))

    def _change(self, connection: Connection, episode: str, annotation: Annotation, edit: Edit, kind: str, **columns: Any) -> int:
        done = _already(connection, edit)
        if done is not None:
            return done
        annotation = replace(annotation, author=edit.author)
        row = connection.execute(_of(episode)).mappings().first()
        if (row["version"] if row else 0) != edit.base_version:
            raise Conflict(episode, _saved(row) if row else Saved(0, "new", Annotation(annotation.n_frames)))
        document = json.dumps(annotation.to_json(), ensure_ascii=False)
        version, now = edit.base_version + 1, datetime.now(UTC).isoformat(timespec="milliseconds")
        columns |= {"version": version, "author": edit.author, "doc": document, "instruction": annotation.instruction,
                    "success": annotation.success, "grade": annotation.grade, "flags": json.dumps(annotation.flags),
                    "segments": sum(map(len, annotation.tiers.values())), "updated_utc": now}
        if row is None:
            connection.execute(insert(annotations).values(episode_id=episode, **columns))
        else:
            connection.execute(update(annotations).where(annotations.c.episode_id == episode).values(**columns))
        connection.execute(insert(events).values(
            episode_id=episode, actor=edit.author, client_id=edit.client_id, client_rev=edit.client_rev, kind=kind,
            from_version=edit.base_version, to_version=version, doc=document, ts_utc=now))
        return version


def library_store(library: Path) -> Store:
    """The store of a library folder: its ``firsthand.db``."""
    return Store(f"sqlite:///{(library / STORE).resolve()}")


def _engine(url: str, *, writes: bool) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own transactions begin too late to hold the write lock
        for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begins(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _of(episode: str) -> Select[Any]:
    return select(annotations).where(annotations.c.episode_id == episode)


def _already(connection: Connection, edit: Edit) -> int | None:
    """The version this edit became when it was kept before."""
    mine = (events.c.client_id == edit.client_id) & (events.c.client_rev == edit.client_rev)
    version: int | None = connection.execute(select(events.c.to_version).where(mine)).scalar()
    return version


def _saved(row: Any) -> Saved:
    return Saved(row["version"], row["state"], Annotation.from_json(json.loads(row["doc"])))


def _fingerprint(path: Path) -> str:
    """The SHA-256 of a small file, or nothing when it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
