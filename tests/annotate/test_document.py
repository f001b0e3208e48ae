"""What a browser may send."""

from typing import Any

import pytest

from firsthand.annotate.annotation import Annotation, Segment
from firsthand.annotate.document import parse_document
from firsthand.capture.errors import FirsthandError

SPANS = (Segment(0, 10, "reach", id="p-1"), Segment(10, 20, "grasp", "the cube"))
GOOD = Annotation(48, "put it there", True, 4, ("recovery",), {"subtask": SPANS})


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good document with one thing replaced, named by a dotted path."""
    import copy

    document = copy.deepcopy(GOOD.to_json())
    document["tiers"]["subtask"] = [dict(span) for span in document["tiers"]["subtask"]]
    target: Any = document
    *parts, last = path.split(".")
    for part in parts:
        target = target[int(part) if part.isdigit() else part]
    target[last] = value
    return document


def test_what_is_written_is_what_is_read_and_the_author_is_the_tokens() -> None:
    document = GOOD.to_json() | {"author": "mallory"}
    read = parse_document(document, n_frames=48, author="ann")
    assert read.author == "ann"
    assert read.to_json() | {"author": ""} == GOOD.to_json()


@pytest.mark.parametrize(("path", "value", "words"), [
    ("n_frames", 47, "47 frames, the episode has 48"),
    ("episode.success", "yes", "success must be true, false or null"),
    ("episode.grade", 6, "grade must be 1 to 5"),
    ("episode.grade", True, "grade must be 1 to 5"),
    ("episode.flags", ["nonsense"], "flags must be a list of"),
    ("episode.instruction", "x" * 2001, "instruction must be text of at most 2000"),
    ("tiers.feet", [], "no tier called 'feet'"),
    ("tiers.subtask.0.a", 0.5, "whole frames"),
    ("tiers.subtask.0.b", True, "whole frames"),
    ("tiers.subtask.0.b", 12, "after the one before it"),
    ("tiers.subtask.1.b", 49, "must lie in 0..48"),
    ("tiers.subtask.0.label", None, "label must be text"),
    ("tiers.subtask.0.label", "x" * 81, "label must be text of at most 80"),
    ("tiers.subtask", "all of it", "must be a list"),
])  # fmt: skip
def test_a_document_that_is_not_right_is_refused_with_the_reason(path: str, value: Any, words: str) -> None:
    with pytest.raises(FirsthandError, match=words):
        parse_document(changed(path, value), n_frames=48)


@pytest.mark.parametrize("body", [None, [], "text", 3, {}, {"n_frames": 48}, {"n_frames": 48, "episode": {}, "tiers": []}])
def test_what_is_no_document_at_all_is_refused(body: Any) -> None:
    with pytest.raises(FirsthandError):
        parse_document(body, n_frames=48)
