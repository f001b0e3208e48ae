"""The constant that one-way stamps cannot show: how late each stream is against a reference, found once per rig and taken off."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import write_json

FORMAT = "firsthand.sync"
VERSION = 1
ITSELF = "reference"
"""The method of the reference stream."""


@dataclass(frozen=True)
class Latency:
    """How late one stream's times are, after its clock, against those of the rig's reference stream."""

    latency_ns: int
    """What is taken off the mapped times; negative for a stream that is earlier than the reference."""
    error_ns: int
    """Half the width of its 95 % interval: the calibration residual."""
    reference: str
    """The stream whose own latency stays in all of them."""
    method: str
    """What was compared, such as ``"hand against pictures"``; ``"reference"`` for the reference itself."""
    confidence: float = 1.0
    """How much better the two signals agree there than at any other lag, 0 to 1."""
    episode: str = ""
    """The calibration take it was found in."""
    measured_utc: str = ""
    """When, ISO 8601."""

    def write(self, group: Any) -> None:
        """Put this into the attributes of a stream's open HDF5 group."""
        fields = asdict(self)
        group.attrs.update(latency_ns=fields.pop("latency_ns"), latency_error_ns=fields.pop("error_ns"), latency_from=json.dumps(fields))

    @classmethod
    def read(cls, group: Any) -> "Latency | None":
        """The latency a stream's group holds; None where the rig was not calibrated."""
        if "latency_ns" not in group.attrs:
            return None
        return cls(int(group.attrs["latency_ns"]), int(group.attrs["latency_error_ns"]), **json.loads(group.attrs["latency_from"]))


def write_latencies(path: Path, latencies: Mapping[str, Latency]) -> None:
    """Write a rig's ``.sync.json`` as a whole file."""
    streams = {name: asdict(latencies[name]) for name in sorted(latencies)}
    write_json(path, {"format": FORMAT, "version": VERSION, "streams": streams})


def add_latencies(path: Path, latencies: Mapping[str, Latency]) -> list[str]:
    """Write these into a ``.sync.json``, new or there already, in place of those of the same streams; returns the streams that were kept.

    Raises `FirsthandError` when the file has another reference stream.
    """
    before = read_latencies(path) if path.exists() else {}
    theirs, ours = ({latency.reference for latency in known.values()} for known in (before, latencies))
    if before and theirs != ours:
        raise FirsthandError(f"the latencies in {path} are against {', '.join(sorted(theirs))}, these against {', '.join(sorted(ours))}; "
                             "save to another file, or remove this one")
    write_latencies(path, {**before, **latencies})
    return sorted(set(before) - set(latencies))


def read_latencies(path: Path) -> dict[str, Latency]:
    """Latencies by stream from a ``.sync.json``. Raises `FirsthandError` when it is missing or something else."""
    again = "run 'firsthand calibrate EPISODE --save' again"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FirsthandError(f"{path} is not there; record half a minute of free motion, then run "
                             f"'firsthand calibrate EPISODE --save {path}'") from None
    except (OSError, ValueError) as error:
        raise FirsthandError(f"cannot read {path} as a rig's latencies: {error}; {again}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FirsthandError(f"{path} holds no latencies of a rig (its 'format' is not {FORMAT!r}); {again}")
    if document.get("version") != VERSION:
        raise FirsthandError(f"{path} is of version {document.get('version')}; this firsthand reads {VERSION}: upgrade it, or {again}")
    try:
        return {name: Latency(**fields) for name, fields in document["streams"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise FirsthandError(f"{path} is damaged inside ({error}); {again}") from error
