"""The tables of the review store."""

from typing import Any

from sqlalchemy import DDL, BigInteger, Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint, event

METADATA = MetaData()

episodes = Table(
    "episode", METADATA,
    Column("id", String, primary_key=True),
    Column("session", String, nullable=False, index=True),
    Column("stamp", String, nullable=False),  # sizes and times of the episode's files; what follows is read again when it changes
    Column("task", String, nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("n_frames", Integer, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("coverage", Float),  # part of the frames with a hand; null before hands.h5
    Column("gaps", Integer, nullable=False),
    Column("findings", Text, nullable=False),  # JSON list
    Column("robots", Text, nullable=False),  # JSON list
    Column("problem", Text, nullable=False),  # why it cannot be opened; empty when it can
)  # fmt: skip
"""What Browse filters by; a cache of the episodes' files."""

annotations = Table(
    "annotation", METADATA,
    Column("episode_id", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("author", String, nullable=False),
    Column("doc", Text, nullable=False),
    Column("instruction", Text, nullable=False),
    Column("success", Boolean),
    Column("grade", Integer),
    Column("flags", Text, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("submitted_version", Integer, nullable=False, default=0),
    Column("file_sha256", String, nullable=False, default=""),  # of annotations.json as last written or read
    Column("updated_utc", String, nullable=False),
)  # fmt: skip
"""The current document of each episode, with the columns Browse filters by."""

events = Table(
    "event", METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("episode_id", String, ForeignKey("annotation.episode_id"), nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("client_rev", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("from_version", Integer, nullable=False),
    Column("to_version", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Column("ts_utc", String, nullable=False),
    UniqueConstraint("client_id", "client_rev"),
)  # fmt: skip
"""Every change there ever was; nothing in it is altered or removed."""

for _verb in ("UPDATE", "DELETE"):
    _trigger: Any = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER event_no_{_verb.lower()} BEFORE {_verb} ON event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END")
    event.listen(events, "after_create", _trigger.execute_if(dialect="sqlite"))
