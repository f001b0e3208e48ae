"""What the collector hears while both hands are busy: a sound for each thing that happens, and spoken sentences."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any, Self

from firsthand.capture.cues.slot import Slot
from firsthand.capture.cues.tones import CUES, CueName
from firsthand.capture.cues.voice import find_voice, speak

PLAYER = (sys.executable, "-m", "firsthand.capture.cues.player")
BELL_S = 0.18
"""Between two bells of one cue."""
END_S = 1.0
"""The last cue may take so long to be heard out."""


class Cues:
    """Plays and speaks in the background; nothing here ever waits, and nothing that fails here is the recorder's business.

    Without a sound output cues become terminal bells, without a terminal silence; `how` says which, and why.
    """

    def __init__(self, sound: bool = True, voice: bool = False, *, bell: IO[str] | None = None, player: Sequence[str] = PLAYER,
                 speech: Sequence[str] | None = None) -> None:
        """`bell` is the terminal to ring (stderr where None); `player` and `speech` are the commands that play and speak."""
        self._sound, self._voice = sound, voice
        self._bell = bell if bell is not None else sys.stderr
        self._player_command, self._speech = player, speech
        self._player: subprocess.Popen[bytes] | None = None
        self._answered = threading.Event()
        self._ready = False
        self._why = "sound is switched off"
        self._spoken = "voice is switched off"
        self._bells: Slot[int] = Slot()
        self._sentences: Slot[str] = Slot()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        if self._sound:
            self._why = "sound is being opened"
            try:
                self._player = subprocess.Popen(self._player_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                stderr=subprocess.DEVNULL, start_new_session=True)
                os.set_blocking(self._player.stdin.fileno(), False)  # type: ignore[union-attr]
                self._begin("cue player", self._listen)
            except OSError as error:
                self._why = f"the cue player cannot be started ({error.strerror})"
                self._answered.set()
            self._begin("bell", self._ring)
        if self._voice:
            self._speech = self._speech or find_voice()
            self._spoken = "" if self._speech else "there is no speech program (install speech-dispatcher or espeak-ng)"
            if self._speech:
                self._begin("voice", self._speak)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bells.close()
        self._sentences.close()
        if self._player:
            with contextlib.suppress(OSError):
                self._player.stdin.close()  # type: ignore[union-attr]
            try:
                self._player.wait(END_S)
            except subprocess.TimeoutExpired:
                self._player.kill()
                self._player.wait()
        for thread in self._threads:
            thread.join(END_S)
        if self._player:
            self._player.stdout.close()  # type: ignore[union-attr]

    def how(self, wait_s: float = 0.0) -> str:
        """How cues reach the person, in one sentence; waits so long for the sound system to answer."""
        self._answered.wait(wait_s)
        if not self._sound:
            sound = "no sounds"
        elif self._ready:
            sound = "sounds"
        else:
            sound = f"{'terminal bells' if self._rings() else 'no sounds'} ({self._why})"
        return sound + (", spoken sentences" if self._voice and not self._spoken else f", no voice ({self._spoken})" if self._voice else "")

    def ready(self) -> None:
        """Armed: the next press starts."""
        self._cue("ready")

    def tick(self) -> None:
        """One more second of the countdown."""
        self._cue("tick")

    def start(self) -> None:
        """Recording has begun."""
        self._cue("start")

    def stop(self) -> None:
        """Recording has ended."""
        self._cue("stop")

    def keep(self) -> None:
        """The take is kept."""
        self._cue("keep")

    def discard(self) -> None:
        """The take goes to the trash folder."""
        self._cue("discard")

    def warning(self) -> None:
        """Samples drop, a device is gone, or the coach has something to say."""
        self._cue("warning")

    def error(self) -> None:
        """Recording failed or cannot begin."""
        self._cue("error")

    def say(self, sentence: str) -> None:
        """Speak; what is being said is broken off."""
        if self._voice and not self._spoken:
            self._sentences.put(sentence)

    def _cue(self, name: CueName) -> None:
        if not self._sound:
            return
        if self._player and (self._ready or not self._answered.is_set()):
            try:
                os.write(self._player.stdin.fileno(), f"{name}\n".encode())  # type: ignore[union-attr]
            except OSError:  # full, or its process is gone: a cue less
                if not self._ready:
                    return
            else:
                return
        if self._rings() and CUES[name].bells:
            self._bells.put(CUES[name].bells)

    def _rings(self) -> bool:
        try:
            return self._bell.isatty()
        except ValueError:  # closed
            return False

    def _listen(self) -> None:
        for line in self._player.stdout or ():  # type: ignore[union-attr]
            said = line.decode(errors="replace").strip()
            self._ready, self._why = said == "ready", said
            self._answered.set()
        if self._ready:
            self._ready, self._why = False, "the sound output was lost"
        self._why = "the cue player ended" if self._why == "sound is being opened" else self._why
        self._answered.set()

    def _ring(self) -> None:
        while (count := self._bells.take()) is not None:
            for _ in range(count):
                with contextlib.suppress(OSError, ValueError):
                    self._bell.write("\a")
                    self._bell.flush()
                time.sleep(BELL_S)

    def _speak(self) -> None:
        failed = 0
        while (sentence := self._sentences.take()) is not None:
            worked = speak(self._speech or (), sentence, self._sentences.waiting)
            if worked is not None:  # one that was broken off says nothing about the program
                failed = 0 if worked else failed + 1
            if failed == 3:
                self._spoken = f"{(self._speech or ('',))[0]} does not work"
                return

    def _begin(self, name: str, run: Callable[[], Any]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
