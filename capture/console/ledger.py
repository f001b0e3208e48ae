"""The takes of this run and what became of each, and so which task is next."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from firsthand.capture.console.plan import Plan


@dataclass(eq=False)
class Take:
    """One take of this run."""

    folder: str
    task: str
    state: Literal["running", "finishing", "finished", "interrupted", "failed"] = "running"
    fate: Literal["open", "kept", "discarded"] = "open"
    """``open``: kept, unless the person says otherwise before the next one."""
    duration_s: float = 0.0
    gaps: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    """Devices that were away in it, and why."""
    reason: str = ""
    goes_on_as: str = ""
    """Its writer died, and this take has the rest."""

    @property
    def name(self) -> str:
        """Its number, as its folder is called."""
        return Path(self.folder).name

    @property
    def counts(self) -> bool:
        """Whether it is one of the takes that are wanted."""
        return self.fate != "discarded" and not self.goes_on_as and self.state not in ("interrupted", "failed")

    @property
    def settled(self) -> bool:
        """Whether nobody writes to it any more."""
        return self.state in ("finished", "failed") or (self.state == "interrupted" and not self.goes_on_as)

    @property
    def became(self) -> str:
        """What became of it, in a few words."""
        if self.fate == "discarded":
            return f"{self.name} discarded"
        if self.state in ("interrupted", "failed"):
            return f"{self.name} interrupted"
        return f"{self.name} kept, {self.duration_s:.1f} s" + (f", {count_gaps(self.gaps)}" if self.state == "finished" else "")


class Ledger:
    """Takes by folder, and the task whose turn it is."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.takes: list[Take] = []
        self.turn = 0
        """Which task is next."""
        self.go_on()

    @property
    def task(self) -> str:
        """The task whose turn it is."""
        return self.plan.tasks[self.turn]

    @property
    def complete(self) -> bool:
        """Every task has its takes. Never so when their number is open."""
        return all(self._enough(task) for task in self.plan.tasks)

    def add(self, folder: str, task: str) -> Take:
        """A take began."""
        take = Take(folder, task)
        self.takes.append(take)
        return take

    def find(self, folder: str) -> Take | None:
        """The take in a folder."""
        return next((take for take in self.takes if take.folder == folder), None)

    def done(self, task: str) -> int:
        """Takes of a task that count, those of before included."""
        return self.plan.before.get(task, 0) + sum(take.counts for take in self.takes if take.task == task)

    def last(self) -> Take | None:
        """The take that may still be discarded."""
        return self.takes[-1] if self.takes and self.takes[-1].fate == "open" else None

    def discard(self, take: Take) -> list[Take]:
        """It is to go to the trash, and what it goes on from; returns those that may go at once. Its task's turn again."""
        parts = [take, *(t for t in self.takes if t.goes_on_as == take.name and t.fate == "open")]
        for part in parts:
            part.fate = "discarded"
        self.turn = self.plan.tasks.index(take.task)
        return [part for part in parts if part.settled]

    def go_on(self) -> bool:
        """To the next task that needs takes, when this one has enough; whether the turn changed."""
        before = self.turn
        if self._enough(self.task):
            n = len(self.plan.tasks)
            self.turn = next((i % n for i in range(self.turn, self.turn + n) if not self._enough(self.plan.tasks[i % n])), self.turn)
        return self.turn != before

    def step(self, by: int) -> bool:
        """The person wants another task; False when there is only one."""
        self.turn = (self.turn + by) % len(self.plan.tasks)
        return len(self.plan.tasks) > 1

    def faults(self) -> list[str]:
        """What is wrong with the takes that stay, a sentence each."""
        found = []
        for take in self.takes:
            if take.fate == "discarded":
                continue
            if take.goes_on_as:
                found.append(f"take {take.name} was cut in two and goes on as {take.goes_on_as}: {take.reason}")
            elif take.state in ("interrupted", "failed"):
                found.append(f"take {take.name} was interrupted: {take.reason}")
            found += [f"take {take.name} was recorded without {device} for a while: {why}" for device, why in take.lost.items()]
        return found

    def _enough(self, task: str) -> bool:
        return self.plan.episodes is not None and self.done(task) >= self.plan.episodes


def count_gaps(n: int) -> str:
    """A number of gaps, in words."""
    return f"{n or 'no'} gap{'s' * (n != 1)}"
