"""The session that takes go into: a new one, made with its first take, or the last one gone on with."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firsthand.capture.console.orders import Event
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import RECORDING
from firsthand.capture.recording import Recording
from firsthand.capture.recover import LEFT
from firsthand.capture.rig import Rig
from firsthand.capture.takes import Takes

PATIENCE_S = 30.0
"""The writer of a recorder that was killed may take so long to finish its take."""


class Sitting:
    """One wearer, one rig, one sitting."""

    def __init__(self, library: Path, rig: Rig, wearer: str, tasks: tuple[str, ...], consent: Mapping[str, Any] | None) -> None:
        self._library, self._rig, self.wearer, self.tasks = library, rig, wearer, tasks
        self._consent = dict(consent) if consent is not None else None
        self.takes: Takes | None = None
        self.before: Counter[str] = Counter()
        """Takes that were there already, by task."""

    @property
    def name(self) -> str:
        """Its folder's name; empty before the first take."""
        return self.takes.session.name if self.takes else ""

    def resume(self) -> list[Event]:
        """Go on with the last session; its unfinished takes are finished first. Returns what there is to tell."""
        self.takes = takes = Takes.resume(self._library, self._rig, wearer=self.wearer)
        self.tasks = self.tasks or takes.tasks
        deadline_s = time.monotonic() + PATIENCE_S
        recovered = takes.recover()
        while any(take.problem for take in recovered) and time.monotonic() < deadline_s:
            time.sleep(1)  # its writer may still be at it
            recovered = [*(take for take in recovered if not take.problem), *takes.recover()]
        events = []
        for take in recovered:
            where = {"take": str(take.path.parent)}
            if take.problem:
                events.append(Event("unrecovered", take.problem, "error", "error", where))
                continue
            lost = sum(take.lost.values())
            text = f"{take.path.parent.name} was interrupted and is whole now: {sum(take.saved.values())} samples, {lost} lost"
            events.append(Event("recovered", text, fields={**where, "saved": dict(take.saved), "lost": dict(take.lost)}))
        kept = takes.kept()
        for folder in kept:
            with Recording(folder / RECORDING) as recording:
                self.before[recording.task] += 1
        text = f"the session goes on: {len(kept)} take{'s are' if len(kept) != 1 else ' is'} there, the next is {takes.next().name}"
        fields = {"session": str(takes.session), "kept": len(kept), "next": takes.next().name}
        return [*events, Event("resumed", text, fields=fields)]

    def next_folder(self) -> Path:
        """Where the next take goes."""
        if self.takes is None:
            self.takes = Takes.begin(self._library, self._rig, wearer=self.wearer, tasks=self.tasks, consent=self._consent)
        return self.takes.next()

    def discard(self, folder: Path) -> Path:
        """Move a take to the trash. Raises `FirsthandError` when the disk refuses."""
        assert self.takes is not None
        try:
            return self.takes.discard(folder)
        except OSError as error:
            raise FirsthandError(f"{folder} could not be moved to the trash ({error.strerror}); it stays where it is") from error

    def unfinished_elsewhere(self) -> int:
        """Takes in other sessions of the library that wait for ``firsthand recover``."""
        return len({path.parent for path in self._library.glob("[!.]*/*/*.h5.*") if LEFT.fullmatch(path.name)
                    and (self.takes is None or path.parent.parent != self.takes.session)})
