"""Claps and knocks: seeded sounds of rooms, voices and music; what is found and what is found wrongly is counted."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from firsthand.capture.controls.clap import ClapDetector
from firsthand.capture.controls.knock import KnockDetector
from firsthand.capture.controls.microphone import RATE_HZ, ClapMicrophone
from firsthand.capture.controls.pair import PairFinder, Stroke
from firsthand.capture.controls.press import new_presses

BLOCK = 640


def clap(rng: np.random.Generator, level: float, echo_s: float = 0.4) -> np.ndarray:
    """One clap in a room: a burst of 1 to 5 kHz that dies in some 6 ms, early echoes, and a tail that falls 60 dB in `echo_s`."""
    t = np.arange(round(0.6 * RATE_HZ)) / RATE_HZ
    noise = rng.standard_normal(len(t))
    spectrum, f = np.fft.rfft(noise), np.fft.rfftfreq(len(t), 1 / RATE_HZ)
    centre = rng.uniform(1800, 3200)
    bright = np.fft.irfft(spectrum * np.exp(-0.5 * (np.log(np.maximum(f, 1) / centre) / 0.6) ** 2), len(t))
    direct = bright * np.exp(-t / rng.uniform(0.004, 0.009)) * (1 - np.exp(-t / 0.0004))
    tail = np.roll(bright, 997) * np.exp(-6.91 * t / echo_s) * (t > 0.005) * 0.12
    sound = direct + tail
    return level * sound / np.abs(sound).max()


def hum(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A quiet room: pink noise at -60 dB and mains."""
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(n)) / np.sqrt(np.maximum(np.fft.rfftfreq(n), 1e-4))
    pink = np.fft.irfft(spectrum, n)
    return 0.002 * pink / pink.std() + 0.002 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE_HZ)


def fan(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A loud machine: white noise at -34 dB."""
    return 0.02 * rng.standard_normal(round(seconds * RATE_HZ))


def speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Like a voice near by: vowels through formants, s and sh of 60 to 150 ms, t and k of 10 to 25 ms after a closure."""
    sound, at = hum(rng, seconds), 0.0
    while at < seconds - 0.5:
        if rng.random() < 0.2:
            at += rng.uniform(0.2, 0.7)
        kind, length = rng.choice(["vowel", "vowel", "hiss", "stop"]), rng.uniform(0.06, 0.2)
        n = round((0.02 if kind == "stop" else length) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        if kind == "vowel":
            pitch, formants = rng.uniform(90, 220), rng.uniform((300, 900, 2300), (800, 2200, 3000))
            harmonics = np.arange(1, 40) * pitch
            gain = sum(np.exp(-0.5 * ((harmonics - f) / 120) ** 2) / (1 + k) for k, f in enumerate(formants)) + 0.01
            part = (gain[:, None] * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(0)
            part *= 0.25 * np.sin(np.pi * np.arange(n) / n) ** 0.5 / np.abs(part).max()
        elif kind == "hiss":
            noise = np.diff(rng.standard_normal(n + 1))
            part = 0.06 * noise / noise.std() * np.sin(np.pi * np.arange(n) / n)
        else:
            noise = np.diff(rng.standard_normal(n + 1))
            part = 0.08 * noise / noise.std() * np.exp(-t / rng.uniform(0.005, 0.012))
        i = round(at * RATE_HZ)
        sound[i : i + n] += part
        at += length
    return sound


def music(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A plucked melody over a bass drum and a hi-hat at 120 beats a minute."""
    sound = hum(rng, seconds)
    for beat in range(int(seconds * 4) - 4):
        i = round(beat * 0.25 * RATE_HZ)
        t = np.arange(round(0.8 * RATE_HZ)) / RATE_HZ
        pitch = 220 * 2 ** (rng.integers(0, 24) / 12)
        part = sum(0.1 / k * np.sin(2 * np.pi * k * pitch * t) * np.exp(-t * (3 + k)) for k in range(1, 9))
        if beat % 4 == 0:
            part = part + 0.5 * np.sin(2 * np.pi * (50 * t + 4 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.12)
        if beat % 2:
            noise = np.diff(rng.standard_normal(len(t) + 1))
            part = part + 0.12 * noise / noise.std() * np.exp(-t / 0.02)
        n = min(len(part), len(sound) - i)
        sound[i : i + n] += part[:n]
    return sound


def tools(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Work at a table: dull knocks of things put down, and cutlery that rings for half a second."""
    sound, at = hum(rng, seconds), 0.3
    while at < seconds - 1:
        t = np.arange(round(0.7 * RATE_HZ)) / RATE_HZ
        if rng.random() < 0.5:
            part = rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(120, 500) * t) * np.exp(-t / 0.03)
        else:
            part = rng.uniform(0.05, 0.3) * sum(np.sin(2 * np.pi * f * t) for f in rng.uniform(2000, 7000, 4)) / 4 * np.exp(-t / 0.2)
        i = round(at * RATE_HZ)
        sound[i : i + len(t)] += part
        at += rng.uniform(0.3, 1.5)
    return sound


def heard(sound: np.ndarray, start_ns: int = 7_000_000_000) -> list[float]:
    """Times in seconds of the double claps in it, as the microphone would deliver it."""
    detector, found = ClapDetector(RATE_HZ), []
    for i in range(0, len(sound) - BLOCK + 1, BLOCK):
        found += detector.feed(start_ns + round((i + BLOCK) * 1e9 / RATE_HZ), sound[i : i + BLOCK])
    return [(t - start_ns) * 1e-9 for t in found]


def with_claps(background: np.ndarray, rng: np.random.Generator, pairs: int, level: tuple[float, float]) -> tuple[np.ndarray, list[float]]:
    """Double claps six seconds apart; the times of the second ones."""
    sound, seconds = background.copy(), []
    for k in range(pairs):
        at, apart, loud = 3 + 6 * k + rng.uniform(0, 0.5), rng.uniform(0.38, 0.95), rng.uniform(*level)
        for t in (at, at + apart):
            one = clap(rng, loud * rng.uniform(0.6, 1.0), rng.uniform(0.2, 0.7))
            i = round(t * RATE_HZ)
            sound[i : i + len(one)] += one
        seconds.append(at + apart)
    return sound, seconds


@pytest.mark.parametrize(("background", "level", "least"), [(hum, (0.15, 0.9), 0.95), (fan, (0.5, 0.9), 0.8), (tools, (0.5, 0.9), 0.5)],
                         ids=["room", "fan", "work"])
def test_double_claps_are_heard_where_they_are(background: Callable[..., np.ndarray], level: tuple[float, float], least: float) -> None:
    rng = np.random.default_rng(5)
    sound, true = with_claps(background(rng, 125), rng, 20, level)
    found = heard(sound)
    hits = [t for t in true if any(abs(t - f) < 0.02 for f in found)]
    print(f"{background.__name__}: {len(hits)} of {len(true)} heard, {len(found) - len(hits)} false")
    assert len(hits) >= least * len(true) and len(found) == len(hits)


@pytest.mark.parametrize("background", [hum, fan, speech, music, tools], ids=lambda f: f.__name__)
def test_nothing_else_is_a_double_clap(background: Callable[..., np.ndarray]) -> None:
    found = heard(background(np.random.default_rng(11), 120))
    print(f"{background.__name__}: {len(found)} false alarms in two minutes")
    assert not found


@pytest.mark.parametrize(("times", "wanted"), [
    ((2.0,), 0), ((2.0, 2.6), 1), ((2.0, 2.2), 0), ((2.0, 3.3), 0), ((2.0, 2.6, 3.2), 0), ((2.0, 2.5, 3.0, 3.5, 4.0), 0),
    ((2.0, 2.6, 5.0, 5.5), 2), ((2.0, 2.6, 3.1), 0), ((1.7, 2.0, 2.6), 0), ((1.0, 2.8, 3.4), 1), ((1.0, 1.9, 2.8), 0),
    ((2.0, 2.4, 2.95), 0),
], ids=str)  # fmt: skip
def test_it_takes_exactly_two_claps(times: tuple[float, ...], wanted: int) -> None:
    rng = np.random.default_rng(3)
    sound = hum(rng, 8)
    for t in times:
        one = clap(rng, 0.5)
        sound[round(t * RATE_HZ) : round(t * RATE_HZ) + len(one)] += one
    assert len(heard(sound)) == wanted


def test_blocks_of_any_size_give_the_same_answer() -> None:
    rng = np.random.default_rng(4)
    sound, true = with_claps(hum(rng, 16), rng, 2, (0.5, 0.6))
    detector, found, i = ClapDetector(RATE_HZ), [], 0
    while i < len(sound):
        n = min(int(rng.integers(1, 3000)), len(sound) - i)
        found += detector.feed(round((i + n) * 1e9 / RATE_HZ), sound[i : i + n])
        i += n
    np.testing.assert_allclose(np.array(found) * 1e-9, true, atol=0.02)


def test_unequal_strokes_are_no_pair() -> None:
    pairs = PairFinder()
    pairs.add(Stroke(0, -10.0))
    pairs.add(Stroke(500_000_000, -40.0))
    assert pairs.found(1_000_000_000) is None and pairs.found(9_000_000_000) is None


@pytest.mark.parametrize("rate_hz", [100, 200, 1000])
def test_a_double_knock_is_felt_and_a_working_hand_is_not(rate_hz: int) -> None:
    rng = np.random.default_rng(rate_hz)
    t = np.arange(60 * rate_hz) / rate_hz
    moving = sum(a * np.sin(2 * np.pi * f * t + p) for f, a, p in ((0.7, 3.0, 0.1), (1.9, 5.0, 1.0), (4.1, 3.0, 2.0)))
    felt = np.stack([moving, 0.5 * moving, np.full_like(t, 9.81)], 1) + 0.05 * rng.standard_normal((len(t), 3))
    knocked = felt.copy()
    for at in (20.0, 20.5, 40.0, 40.7):
        since = t - at
        shock = (since >= 0) * 45 * np.exp(-since.clip(0) / 0.012) * np.cos(2 * np.pi * 40 * since)
        knocked[:, 2] += shock
    for samples, wanted in ((felt, []), (knocked, [20.5, 40.7])):
        detector = KnockDetector()
        found = [detector.feed(round(s * 1e9), a) for s, a in zip(t, samples, strict=True)]
        np.testing.assert_allclose([f * 1e-9 for f in found if f is not None], wanted, atol=0.05)


def test_without_a_microphone_it_is_absent_and_says_so_in_one_sentence() -> None:
    code = "import sys; sys.modules['sounddevice'] = None; from firsthand.capture.controls.microphone import listen; listen(None)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read() == '{"absent": "no clap control: pip install \'firsthand[sound]\'"}\n'


def test_the_microphones_process_ends_with_it() -> None:
    with ClapMicrophone(new_presses()) as microphone:
        said = microphone.wait_until_ready()
        assert said == "" or said.startswith("no clap control: "), said
        process = microphone._process
    assert process is not None and process.returncode is not None and microphone.absent == "the microphone is not open"
