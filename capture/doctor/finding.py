"""What a probe found: a value beside what it should be, a verdict, and what to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "bad"]
VERDICTS: tuple[Verdict, ...] = ("ok", "warn", "bad")
"""From best to worst. ``warn``: a day of collecting may suffer. ``bad``: it will."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    what: str
    """What was looked at, in two or three words."""
    value: str
    """What it is, with its unit."""
    wanted: str = ""
    """What it should be; empty where nothing is asked."""
    verdict: Verdict = "ok"
    advice: str = ""
    """What to do, one sentence; empty where there is nothing to do."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict over all."""
    return VERDICTS[max((VERDICTS.index(f.verdict) for f in findings), default=0)]


def judged(value: float, warn: float, bad: float) -> Verdict:
    """The verdict on a value that should be small, when `warn` < `bad`, or large, when `warn` > `bad`."""
    sign = 1 if warn < bad else -1
    return "bad" if sign * value > sign * bad else "warn" if sign * value > sign * warn else "ok"


def conclusion(findings: Sequence[Finding], *, tried: bool) -> str:
    """The last line: may the day begin. `tried` says whether the rig itself was."""
    bad, warn = (sum(f.verdict == verdict for f in findings) for verdict in ("bad", "warn"))
    if bad:
        return f"Do not record yet: {_things(bad)} to put right" + f", and {_things(warn)} to know of" * bool(warn) + "."
    if warn:
        return f"Fit to record, with {_things(warn)} to know of."
    return "Ready to record." if tried else "This machine is ready to record; name a rig file with --rig to try the devices too."


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"
