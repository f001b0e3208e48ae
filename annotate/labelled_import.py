"""Importers of sources that say what was done: they leave ``annotations.json`` beside the recording, made from its ``labels`` stream."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firsthand.annotate.annotation import TIERS, Annotation, Segment, write_annotation
from firsthand.annotate.labels import FLAGS, MAX_LABEL, MAX_TEXT
from firsthand.capture.intake import Asked, Found, Importer, Intake, Take
from firsthand.capture.library import Episode
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.source_labels import Span, labels_of

AUTHOR = "import"


def labelled(name: str) -> Importer:
    """The importer `name` of ``capture/importers/<name>.py``, whose takes get their annotation as well."""

    def importer(source: Path, asked: Asked) -> Found | None:
        read: Importer = find("importers", {name: f"firsthand.capture.importers.{name}:{name}"}, name)
        found = read(source, asked)
        return found and replace(found, takes=tuple(Take(take.name, partial(_write, take.write)) for take in found.takes))

    return importer


egodex, egoverse, lerobot, mcap, robomimic, webdataset = map(labelled, ("egodex", "egoverse", "lerobot", "mcap", "robomimic", "webdataset"))


def _write(write: Callable[[Intake], None], intake: Intake) -> None:
    write(intake)
    annotate_from_source(intake.episode)


def annotate_from_source(episode: Episode) -> Annotation | None:
    """Write what the source of an episode said as its annotation; None when it said nothing, or there is no camera to count frames by."""
    with episode.recording() as recording:
        found = annotation_of(recording)
    if found:
        write_annotation(episode.annotations_path, found)
    return found


def annotation_of(recording: Recording) -> Annotation | None:
    """The labels of a recording's source on the frames of its reference camera. Where spans of a tier overlap, the later is cut off.

    What a person asked for on import (the recording's task) goes before the source's own words.
    """
    labels = labels_of(recording)
    if labels is None or not recording.role("camera"):
        return None
    t_ns = recording.camera().t_ns
    tiers = {tier: _segments((span for span in labels.spans if span.tier == tier), t_ns) for tier in TIERS}
    said = recording.task or labels.instruction
    if not (said or labels.success is not None or labels.grade or any(tiers.values())):
        return None
    flags = tuple(flag for flag in labels.flags if flag in FLAGS)
    return Annotation(len(t_ns), said[:MAX_TEXT], labels.success, labels.grade, flags,
                      {tier: spans for tier, spans in tiers.items() if spans}, AUTHOR)


def _segments(spans: Iterable[Span], t_ns: npt.NDArray[np.int64]) -> tuple[Segment, ...]:
    """Spans of time as spans of frames; an edge belongs to the frame nearest to it."""
    half_ns = int(np.median(np.diff(t_ns))) // 2 if len(t_ns) > 1 else 0
    found: list[Segment] = []
    for span in sorted(spans, key=lambda s: (s.from_ns, s.to_ns)):
        a, b = (int(np.searchsorted(t_ns, edge - half_ns)) for edge in (span.from_ns, span.to_ns))
        a = max(a, found[-1].b if found else 0)
        if a < b:
            text = span.text.strip()
            found.append(Segment(a, b, text[:MAX_LABEL] or "unnamed", text[:MAX_TEXT] if len(text) > MAX_LABEL else "", source=AUTHOR))
    return tuple(found)
