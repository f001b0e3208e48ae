"""What each cue sounds like, and its samples."""

import io
import wave
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

CueName = Literal["ready", "tick", "start", "stop", "keep", "discard", "warning", "error"]
CUE_NAMES: tuple[CueName, ...] = get_args(CueName)

RATE_HZ = 48_000
RAMP_S = 0.008
"""Each note swells and fades so long: no clicks, and nothing that our own clap detector takes for a clap."""
GAP_S = 0.03
LEVEL = 0.35


@dataclass(frozen=True)
class Cue:
    """One sound: notes one after the other, each (Hz, s)."""

    notes: tuple[tuple[float, float], ...]
    bells: int
    """Terminal bells, where there is no sound output."""
    meaning: str


CUES: dict[CueName, Cue] = {
    "ready": Cue(((523, 0.12), (659, 0.12)), 0, "armed: the next press starts"),
    "tick": Cue(((988, 0.07),), 0, "one more second of the countdown"),
    "start": Cue(((784, 0.12), (1175, 0.35)), 1, "recording has begun"),
    "stop": Cue(((587, 0.12), (392, 0.35)), 2, "recording has ended"),
    "keep": Cue(((1047, 0.1), (1319, 0.1), (1568, 0.25)), 0, "the take is kept"),
    "discard": Cue(((440, 0.1), (330, 0.1), (247, 0.25)), 0, "the take goes to the trash folder"),
    "warning": Cue(((1865, 0.09), (1865, 0.09), (1865, 0.09)), 3, "samples drop, a device is gone, or the coach has something to say"),
    "error": Cue(((175, 0.3), (139, 0.5)), 4, "recording failed or cannot begin"),
}  # fmt: skip
"""Good news rises, bad news falls; the longest note of each has a pitch of its own, 12 % or more from any other's."""


def render(name: CueName, rate_hz: int = RATE_HZ) -> npt.NDArray[np.float32]:
    """The samples of a cue, mono, -1..1, shape (N,)."""
    parts: list[npt.NDArray[Any]] = []
    for pitch_hz, length_s in CUES[name].notes:
        t_s = np.arange(round(length_s * rate_hz)) / rate_hz
        # A little of the third harmonic lets small speakers, which have no bass, sound low notes too.
        tone = np.sin(2 * np.pi * pitch_hz * t_s) + 0.25 * np.sin(6 * np.pi * pitch_hz * t_s)
        ramp = np.clip(np.minimum(t_s, t_s[-1] - t_s) / RAMP_S, 0, 1)
        parts += [LEVEL * tone * np.sin(np.pi / 2 * ramp) ** 2, np.zeros(round(GAP_S * rate_hz))]
    return np.concatenate(parts[:-1]).astype(np.float32)


def wav(name: CueName, rate_hz: int = RATE_HZ) -> bytes:
    """The cue as a 16-bit mono WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((render(name, rate_hz) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
