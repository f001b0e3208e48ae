"""What an export did, what it left out, and what its format could not hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.files import code_version, sha256, write_json

REPORT = "loss_report.json"


@dataclass(frozen=True)
class ExportReport:
    """The account of one export; also lies inside the dataset."""

    format: str
    path: Path
    episodes: int
    frames: int
    left_out: tuple[tuple[str, str], ...]
    """Episode id and the reason, for each episode that is not in the dataset."""
    losses: tuple[str, ...]
    """What the dataset does not hold, one sentence each."""
    parameters: Mapping[str, Any]
    """Every setting that changes the result."""
    inputs: Mapping[str, Mapping[str, str]]
    """Content hash (SHA-256) of each file of each exported episode, in the dataset's order of episodes."""
    timing: Mapping[str, Any]
    """Timing certificate of each exported episode, as plain JSON."""
    outputs: Mapping[str, str]
    """Content hash of each file of the dataset, by its path inside."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {**asdict(self), "path": str(self.path), "left_out": [{"episode": e, "reason": why} for e, why in self.left_out],
                "losses": list(self.losses), "code_version": code_version()}

    def text(self) -> str:
        """The report for people."""
        lines = [f"{self.format}: {self.episodes} episodes, {self.frames} frames in {self.path.name}"]
        lines += [f"left out {episode}: {why}" for episode, why in self.left_out]
        return "\n".join([*lines, "", "What this dataset does not hold:", *(f"- {loss}" for loss in self.losses), ""])

    def write(self, folder: Path) -> None:
        """Put ``loss_report.json`` and ``loss_report.txt`` into a folder."""
        write_json(folder / REPORT, {key: value for key, value in self.to_json().items() if key != "path"})
        (folder / "loss_report.txt").write_text(self.text(), encoding="utf-8")


def changed_files(dataset: Path, report: Path) -> list[str]:
    """Files of a dataset that are not what its report says was written, one sentence each; none when it has no report."""
    if not report.exists():
        return []
    try:
        outputs = json.loads(report.read_text(encoding="utf-8"))["outputs"].items()
        paths = [(name, dataset / name, wanted) for name, wanted in outputs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{report.name} is not the report of an export ({type(error).__name__}: {error})"]
    return [f"{name} is {'not what was exported' if path.is_file() else 'missing'}" for name, path, wanted in paths
            if not path.is_file() or sha256(path) != wanted]
