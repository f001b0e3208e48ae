"""What is to be recorded: tasks, how many takes of each, how long, and who says when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firsthand.capture.errors import FirsthandError

COUNTDOWN_S = 3.0


@dataclass(frozen=True)
class Plan:
    """The work of one session."""

    tasks: tuple[str, ...]
    episodes: int | None = None
    """Kept takes of each task; None: as many as the person likes."""
    duration_s: float | None = None
    """A take ends by itself after so long."""
    countdown_s: float = COUNTDOWN_S
    auto: bool = False
    """Takes start by themselves, one after the other, and the recorder ends after the last."""
    before: Mapping[str, int] = field(default_factory=dict)
    """Takes of each task that the session had when it was resumed."""

    def check(self) -> None:
        """Raises `FirsthandError` for a plan that cannot be carried out."""
        if not self.tasks:
            raise FirsthandError("there is no task; say what will be done with --task \"put the cup on the shelf\"")
        if self.auto and self.duration_s is None:
            raise FirsthandError("--auto needs --duration: nobody is there to stop a take")


def read_tasks(given: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """The tasks that were typed, then those of a file (one a line; empty lines and those with # are passed over), each once."""
    tasks = [" ".join(task.split()) for task in given]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FirsthandError(f"cannot read the tasks in {file}: {error}; it is a text file with one task a line") from error
        tasks += [" ".join(line.split()) for line in lines if not line.lstrip().startswith("#")]
    return tuple(dict.fromkeys(task for task in tasks if task))
