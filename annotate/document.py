"""The document a browser sends, checked before it is believed."""

from collections.abc import Mapping
from typing import Any

from firsthand.annotate.annotation import TIERS, Annotation, Segment
from firsthand.annotate.labels import FLAGS, MAX_LABEL, MAX_TEXT
from firsthand.capture.errors import FirsthandError

MAX_SEGMENTS = 5000


def parse_document(document: object, *, n_frames: int, author: str = "") -> Annotation:
    """The annotation in a document of the form `Annotation.to_json` writes; `author` replaces its author.

    Raises `FirsthandError` naming the first thing wrong: a type, a length, another number of frames, overlapping spans.
    """
    body = _mapping("the document", document)
    if body.get("n_frames") != n_frames:
        raise FirsthandError(f"the document is for {body.get('n_frames')!r} frames, the episode has {n_frames}; reload the page")
    episode, tiers = _mapping("episode", body.get("episode")), _mapping("tiers", body.get("tiers"))
    success, grade, flags = episode.get("success"), episode.get("grade"), episode.get("flags", [])
    if success is not None and not isinstance(success, bool):
        raise FirsthandError(f"success must be true, false or null, got {success!r}")
    if grade is not None and (isinstance(grade, bool) or grade not in (1, 2, 3, 4, 5)):
        raise FirsthandError(f"grade must be 1 to 5 or null, got {grade!r}")
    if not isinstance(flags, list) or any(flag not in FLAGS for flag in flags):
        raise FirsthandError(f"flags must be a list of {', '.join(FLAGS)}, got {flags!r}")
    unknown = sorted(set(tiers) - set(TIERS))
    if unknown:
        raise FirsthandError(f"no tier called {unknown[0]!r} (there are: {', '.join(TIERS)})")
    spans = {tier: tuple(_segment(tier, span) for span in _list(tier, tiers[tier])) for tier in TIERS if tiers.get(tier)}
    version = body.get("version")
    instruction = _text("instruction", episode.get("instruction", ""), MAX_TEXT)
    return Annotation(n_frames, instruction, success, grade, tuple(dict.fromkeys(flags)), spans, author,
                      version if isinstance(version, int) else 0)


def _segment(tier: str, span: object) -> Segment:
    fields = _mapping(f"{tier} segment", span)
    a, b, score = fields.get("a"), fields.get("b"), fields.get("score")
    if type(a) is not int or type(b) is not int:
        raise FirsthandError(f"a {tier} segment's edges must be whole frames, got {a!r} and {b!r}")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        raise FirsthandError(f"a {tier} segment's score must be a number or null, got {score!r}")
    return Segment(a, b, _text("label", fields.get("label"), MAX_LABEL), _text("text", fields.get("text", ""), MAX_TEXT),
                   _text("id", fields.get("id", ""), MAX_LABEL), _text("source", fields.get("source", "person"), MAX_LABEL), score)


def _mapping(what: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FirsthandError(f"{what} must be a JSON object, got {type(value).__name__}")
    return value


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_SEGMENTS:
        raise FirsthandError(f"tier {what} must be a list of at most {MAX_SEGMENTS} segments")
    return value


def _text(what: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise FirsthandError(f"{what} must be text of at most {longest} characters")
    return value
