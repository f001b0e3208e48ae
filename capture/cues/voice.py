"""Spoken sentences, by whatever speech program this machine has."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

SPEECH_S = 15.0
"""Longer than any sentence of ours; a program that takes longer hangs."""
CHARACTERS = 300

PROGRAMS: Mapping[str, Sequence[str]] = {
    "spd-say": ("--wait", "--"),
    "espeak-ng": ("--",),
    "espeak": ("--",),
    "say": ("--",),
}
"""Program -> what stands before the sentence. The first that is found is used."""


def find_voice(which: Callable[[str], str | None] = shutil.which) -> tuple[str, ...] | None:
    """The command to which a sentence is appended; None where no speech program is installed."""
    for program, options in PROGRAMS.items():
        if path := which(program):
            return (path, *options)
    return None


def plain(sentence: str) -> str:
    """What may be given to a speech program: one line of printable characters, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in sentence).split())[:CHARACTERS]


def speak(command: Sequence[str], sentence: str, interrupted: Callable[[], bool]) -> bool | None:
    """Speak to the end; whether the program did its work. None when `interrupted` said that something newer is to be said.

    Never takes longer than `SPEECH_S`.
    """
    try:
        process = subprocess.Popen([*command, plain(sentence)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
    except OSError:
        return False
    for _ in range(round(SPEECH_S / 0.05)):
        try:
            return process.wait(0.05) == 0
        except subprocess.TimeoutExpired:
            if interrupted():
                process.kill()
                process.wait()
                return None
    process.kill()
    process.wait()
    return False
