"""Plays cues in a process of its own, ``python -m firsthand.capture.cues.player``: audio libraries print, block and crash as they like.

Names of cues come in, a line each; of those that wait while one sounds, the last is played. Ends when stdin does.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.cues.slot import Slot
from firsthand.capture.cues.tones import CUES, RATE_HZ, CueName, render

Play = Callable[[npt.NDArray[np.float32]], None]


def open_output() -> Play:
    """A function that plays samples to their end. Raises `OSError` with the reason where there is nothing to play on."""
    try:
        import sounddevice
    except ImportError as error:
        raise OSError("pip install 'firsthand[sound]'") from error
    try:
        sounddevice.check_output_settings(samplerate=RATE_HZ, channels=1)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(f"no sound output: {error}") from error

    def play(samples: npt.NDArray[np.float32]) -> None:
        try:
            sounddevice.play(samples, RATE_HZ)
            sounddevice.wait()
        except sounddevice.PortAudioError as error:
            raise OSError(f"the sound output was lost: {error}") from error

    return play


def serve(names: Iterable[str], play: Play) -> None:
    """Play cues until there are no more names. Raises what `play` raises."""
    slot: Slot[CueName] = Slot()

    def read() -> None:
        for line in names:
            if (name := line.strip()) in CUES:
                slot.put(name)  # type: ignore[arg-type]
        slot.close()

    threading.Thread(target=read, daemon=True).start()
    rendered: dict[str, Any] = {name: render(name) for name in CUES}
    while (name := slot.take()) is not None:
        play(rendered[name])


def main() -> None:
    """Say ``ready``, or one line why not, and play what comes."""
    try:
        play = open_output()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        serve(sys.stdin, play)
    except OSError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        sys.stdout.flush()
    os._exit(0)  # a sound system that hangs must not keep the process


if __name__ == "__main__":
    main()
