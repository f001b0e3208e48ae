"""docs/controls.md says what the tables say."""

import re
from pathlib import Path

import pytest

from firsthand.capture.coach.gates import GATES
from firsthand.capture.controls.keys import KEYS
from firsthand.capture.controls.pedal import PEDAL_KEYS
from firsthand.capture.controls.press import ACTIONS, WORDS
from firsthand.capture.cues.tones import CUES
from firsthand.capture.cues.voice import PROGRAMS

PAGE = (Path(__file__).parents[3] / "docs" / "controls.md").read_text()


def row(name: str, after: str) -> list[str]:
    """The cells of the first row of that name after a headline."""
    lines = PAGE[PAGE.index(after) :].splitlines()
    return [cell.strip() for cell in next(line for line in lines if line.startswith(f"| `{name}` |")).split("|")[1:-1]]


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_stands_with_its_keys(action: str) -> None:
    _, keyboard, pedal, does = row(action, "# Hands free")
    assert re.findall("`(.+?)`", keyboard) == [key for key, does in KEYS.items() if does == action]
    assert re.findall("`(.+?)`", pedal) == [key for key, does in PEDAL_KEYS.items() if does == action]
    assert does == WORDS[action]  # type: ignore[index]


@pytest.mark.parametrize("name", CUES)
def test_each_cue_stands_with_its_sound(name: str) -> None:
    cue = CUES[name]  # type: ignore[index]
    assert row(name, "## Cues")[1:] == [", ".join(f"{hz:g}" for hz, _ in cue.notes), str(cue.bells or "none"), cue.meaning]


def test_each_gate_and_speech_program_stands_there() -> None:
    assert all(row(gate, "## The coach") for gate in GATES) and all(f"`{program}`" in PAGE for program in PROGRAMS)
