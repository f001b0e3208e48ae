"""Pictures and figures by which a person judges how well an episode's hands were tracked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.annotate.overlay_video import overlay_video
from firsthand.annotate.plot_sheet import plot_sheet
from firsthand.capture.library import Episode
from firsthand.retarget.hand_track import read_hands
from firsthand.retarget.quality import HandQuality, assess


@dataclass(frozen=True)
class Inspection:
    """What was found in one episode, and where the pictures of it lie."""

    episode: str
    hands: tuple[HandQuality, ...]
    findings: tuple[str, ...]
    video: Path | None
    sheet: Path | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"episode": self.episode, "hands": [hand.to_json() for hand in self.hands], "findings": list(self.findings),
                "video": str(self.video) if self.video else None, "plots": str(self.sheet) if self.sheet else None}


def inspect(episode: Episode, into: Path, *, video: bool = True, plots: bool = True,
            progress: Callable[[int, int], None] | None = None) -> Inspection:
    """Write ``SESSION-EPISODE.mp4`` and ``.png`` into a folder, made if it is not there.

    Raises `FirsthandError` when the hands were not tracked, or a picture does not decode.
    """
    hands = read_hands(episode.hands_path)
    into.mkdir(parents=True, exist_ok=True)
    name = episode.id.replace("/", "-")
    film, sheet = (into / f"{name}.mp4" if video else None), (into / f"{name}.png" if plots else None)
    if sheet:
        with episode.recording() as recording:
            task = recording.task
        plot_sheet(hands, f"{episode.id}   {task}", sheet)
    if film:
        overlay_video(episode, film, progress)
    return Inspection(episode.id, assess(hands), hands.findings, film, sheet)
