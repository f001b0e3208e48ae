"""Cues: distinct sounds, and a recorder that never waits for them."""

import io
import itertools
import os
import pty
import sys
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.controls.clap import ClapDetector
from firsthand.capture.cues.cues import Cues
from firsthand.capture.cues.player import serve
from firsthand.capture.cues.slot import Slot
from firsthand.capture.cues.tones import CUE_NAMES, CUES, GAP_S, RATE_HZ, CueName, render, wav
from firsthand.capture.cues.voice import find_voice, plain, speak


def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def main_pitch_hz(samples: np.ndarray) -> float:
    """The strongest frequency of a cue."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE_HZ / len(samples))


@pytest.mark.parametrize("name", CUE_NAMES)
def test_each_cue_has_its_notes_and_its_length(name: CueName) -> None:
    samples, notes = render(name), CUES[name].notes
    assert len(samples) / RATE_HZ == pytest.approx(sum(s for _, s in notes) + GAP_S * (len(notes) - 1), abs=1e-3)
    at = 0.0
    for pitch_hz, length_s in notes:
        part = samples[round(at * RATE_HZ) : round((at + length_s) * RATE_HZ)]
        assert main_pitch_hz(part) == pytest.approx(pitch_hz, abs=0.6 / length_s)
        assert max(abs(part[0]), abs(part[-1])) < 1e-3 < np.abs(part).max() < 0.5, "it neither clips nor clicks"
        at += length_s + GAP_S


def test_no_two_cues_can_be_mistaken_for_each_other() -> None:
    pitches = {name: main_pitch_hz(render(name)) for name in CUE_NAMES}
    for one, other in itertools.combinations(CUE_NAMES, 2):
        ratio = max(pitches[one], pitches[other]) / min(pitches[one], pitches[other])
        assert ratio > 1.05, f"{one} and {other} both sound at about {pitches[one]:.0f} Hz"


def test_a_cue_is_a_wav_file() -> None:
    with wave.open(io.BytesIO(wav("start"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        assert file.getnframes() == len(render("start"))


def test_cues_are_no_claps() -> None:
    detector, found, t_ns = ClapDetector(RATE_HZ), [], 0
    for first, second in itertools.product(CUE_NAMES, CUE_NAMES):
        sound = np.concatenate([render(first), np.zeros(RATE_HZ // 5), render(second), np.zeros(RATE_HZ)])
        t_ns += round(len(sound) * 1e9 / RATE_HZ)
        found += detector.feed(t_ns, sound)
    assert not found


def test_the_newest_cue_wins_while_one_sounds() -> None:
    names: Slot[str] = Slot()
    played, sounding, go_on = [], threading.Event(), threading.Event()

    def lines():  # type: ignore[no-untyped-def]
        while (name := names.take()) is not None:
            yield name + "\n"

    def play(samples: np.ndarray) -> None:
        played.append(len(samples))
        sounding.set()
        go_on.wait(5)

    thread = threading.Thread(target=serve, args=(lines(), play))
    thread.start()
    names.put("start")
    assert sounding.wait(5)
    for name in ("tick", "nonsense", "stop", "error"):
        names.put(name)
        time.sleep(0.02)
    go_on.set()
    names.close()
    thread.join(5)
    assert played == [len(render("start")), len(render("error"))]


def test_without_a_sound_output_the_terminal_rings() -> None:
    """Here there may be a real one: the player is told to have none."""
    leader, follower = pty.openpty()
    player = (sys.executable, "-c", "print('PortAudio library not found')")
    with os.fdopen(follower, "w") as terminal, Cues(bell=terminal, player=player) as cues:
        assert cues.how(10) == "terminal bells (PortAudio library not found)"
        cues.stop()
        seen = b""
        while len(seen) < CUES["stop"].bells:
            seen += os.read(leader, 10)
        assert seen == b"\a\a"
    os.close(leader)


def test_without_a_terminal_either_there_is_silence() -> None:
    with Cues(bell=io.StringIO(), player=(sys.executable, "-c", "print('no sound output')")) as cues:
        assert cues.how(10) == "no sounds (no sound output)"
        cues.error()
    with Cues(sound=False, bell=io.StringIO()) as cues:
        cues.start()
        cues.say("hello")
        assert cues.how() == "no sounds"


def test_the_real_player_either_plays_or_says_why_not() -> None:
    with Cues(bell=io.StringIO()) as cues:
        for name in CUE_NAMES:
            getattr(cues, name)()
        assert cues.how(20) == "sounds" or cues.how().startswith("no sounds ("), cues.how()
        assert "opened" not in cues.how()


def test_a_player_that_reads_nothing_never_makes_the_recorder_wait(tmp_path: Path) -> None:
    code = "import time; print('ready', flush=True); time.sleep(60)"
    with Cues(bell=io.StringIO(), player=(sys.executable, "-c", code)) as cues:
        assert cues.how(10) == "sounds"
        began_s = time.monotonic()
        for _ in range(30_000):
            cues.tick()
        assert time.monotonic() - began_s < 1
    assert time.monotonic() - began_s < 4, "and it is ended"


def test_a_player_that_dies_is_told() -> None:
    with Cues(bell=io.StringIO(), player=(sys.executable, "-c", "print('ready')")) as cues:
        until(lambda: cues.how() == "no sounds (the sound output was lost)")
        cues.start()


def talker(tmp_path: Path, seconds: float = 0.0, code: int = 0) -> tuple[str, ...]:
    """A speech program that writes down what it says."""
    script = tmp_path / "talk.py"
    script.write_text(f"import sys, time\nopen({str(tmp_path / 'said')!r}, 'a').write(sys.argv[-1] + '\\n')\n"
                      f"time.sleep({seconds})\nsys.exit({code})\n")
    return (sys.executable, str(script), "--")


def said(tmp_path: Path) -> list[str]:
    return (tmp_path / "said").read_text().splitlines() if (tmp_path / "said").exists() else []


def test_sentences_are_spoken_one_line_each(tmp_path: Path) -> None:
    with Cues(sound=False, voice=True, speech=talker(tmp_path)) as cues:
        cues.say("--help; put the \n\x1b[31m cup on the shelf")
        until(lambda: said(tmp_path))
        assert cues.how() == "no sounds, spoken sentences"
    assert said(tmp_path) == ["--help; put the [31m cup on the shelf"] and len(plain("x" * 999)) == 300


def test_a_newer_sentence_breaks_off_the_older(tmp_path: Path) -> None:
    with Cues(sound=False, voice=True, speech=talker(tmp_path, seconds=30)) as cues:
        began_s = time.monotonic()
        cues.say("one")
        until(lambda: said(tmp_path) == ["one"])
        cues.say("two")
        cues.say("three")
        until(lambda: said(tmp_path)[-1] == "three")
    assert time.monotonic() - began_s < 5 and said(tmp_path)[0] == "one"


def test_a_speech_program_that_fails_is_given_up(tmp_path: Path) -> None:
    with Cues(sound=False, voice=True, speech=talker(tmp_path, code=1)) as cues:
        end = time.monotonic() + 20
        while "does not work" not in cues.how():
            assert time.monotonic() < end
            cues.say("hello")
            time.sleep(0.3)
        assert len(said(tmp_path)) >= 3
    assert not speak(("/nowhere/speak",), "hello", lambda: False)


def test_the_first_speech_program_found_is_used() -> None:
    assert find_voice({"espeak-ng": "/usr/bin/espeak-ng", "say": "/usr/bin/say"}.get) == ("/usr/bin/espeak-ng", "--")
    assert find_voice({}.get) is None
