"""The segment algebra of the player, run in the browser it is written for."""

import json
from pathlib import Path
from typing import Any

import pytest

import firsthand.annotate.player as player

CASES = json.loads((Path(__file__).parent / "segment_cases.json").read_text(encoding="utf-8"))
SCRIPT = (Path(player.__file__).parent / "player_segments.js").read_text(encoding="utf-8")
FRAMES = 30


@pytest.fixture(scope="module")
def algebra(chromium: Any) -> Any:
    """A blank page that knows `applyEdit`."""
    page = chromium.new_page()
    page.add_script_tag(content=SCRIPT + "\nwindow.applyEdit = applyEdit;")
    yield page
    page.close()


def document(spans: list[list[Any]]) -> dict[str, Any]:
    """A document whose subtask tier holds spans given as [a, b, label]."""
    return {"n_frames": FRAMES, "episode": {}, "tiers": {"subtask": [
        {"id": f"s{k}", "a": a, "b": b, "label": label, "text": "", "source": "rule", "score": None}
        for k, (a, b, label) in enumerate(spans)]}}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_edit_gives_the_spans_it_should_and_never_changes_the_document_it_was_given(case: dict[str, Any], algebra: Any) -> None:
    before = document(case["before"])
    result = algebra.evaluate("""([doc, op, args]) => { const copy = structuredClone(doc), after = applyEdit(doc, op, args);
        return {after, untouched: JSON.stringify(copy) === JSON.stringify(doc)}; }""", [before, case["op"], case["args"]])
    spans = result["after"]["tiers"]["subtask"]
    assert [[s["a"], s["b"], s["label"]] for s in spans] == case["after"]
    assert result["untouched"]
    assert len({s["id"] for s in spans}) == len(spans), "two spans share an id"


def test_spans_stay_sorted_apart_and_at_least_a_frame_long_under_any_edits(algebra: Any) -> None:
    broken = algebra.evaluate("""() => {
        let seed = 7; const pick = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
        let doc = {n_frames: 60, episode: {}, tiers: {subtask: []}};
        for (let i = 0; i < 4000; i++) {
            const spans = doc.tiers.subtask, id = spans.length ? spans[pick(spans.length)].id : "none", a = pick(60), frame = pick(80) - 10;
            const [op, args] = [["paint", {a, b: a + pick(15), label: "x"}], ["split", {frame}], ["merge", {id}], ["remove", {id}],
                ["edge", {id, side: pick(2) ? "a" : "b", frame}], ["edge", {id, side: "b", frame}]][pick(6)];
            doc = applyEdit(doc, op, {tier: "subtask", ...args});
            let end = 0;
            for (const s of doc.tiers.subtask) {
                if (!(end <= s.a && s.a < s.b && s.b <= 60)) return [i, op, args, doc.tiers.subtask];
                end = s.b;
            }
        }
        return null; }""")
    assert broken is None


def test_a_label_a_person_changed_is_no_longer_the_rules(algebra: Any) -> None:
    after = algebra.evaluate("(doc) => applyEdit(doc, 'relabel', {tier: 'subtask', id: 's0', label: 'turn'})", document([[0, 10, "reach"]]))
    assert after["tiers"]["subtask"][0]["source"] == "person"
