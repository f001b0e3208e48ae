"""How large a wearer's hands are, and where the library keeps it: ``wearers/<wearer>.toml``."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import DamagedError
from firsthand.capture.files import whole_file
from firsthand.capture.library import Episode, slug
from firsthand.capture.skeleton import BONES, MIDDLE_MCP, SIDES, WRIST, Side
from firsthand.retarget.hand_fit import ADULT_BONES_M

Floats = npt.NDArray[np.float64]

FORMAT, VERSION = "firsthand.wearer", 1
PEOPLE_SIGMA, PROPORTION_SIGMA = 0.07, 0.04
"""How far people's hands are from the middling adult's, as a share: the whole hand, and each bone beside that."""
OTHER_HAND_SIGMA = 0.015
"""How much a person's hands differ, as a share."""
UNSEEN_DISTANCE_SIGMA = 0.08
"""Of the distance by a measured size, as a share, where nothing has shown how the tracker misjudges it."""


@dataclass(frozen=True, eq=False)
class HandSize:
    """One hand of a wearer."""

    bones_m: Floats = field(default_factory=lambda: ADULT_BONES_M)
    """The 20 bones in the order of `skeleton.BONES`, shape (20,)."""
    sigma_m: Floats = field(default_factory=lambda: ADULT_BONES_M * float(np.hypot(PEOPLE_SIGMA, PROPORTION_SIGMA)))
    """One standard deviation of each, shape (20,)."""
    distance: float = 1.0
    """What the distance by this size is to be multiplied with: trackers see hands flatter than they are, each in its own way."""
    distance_sigma: float = 0.088
    """One standard deviation of a frame's distance after that, as a share."""
    tracker: str = ""
    """What `distance` was found for: the hash of the tracker's model, or its name."""
    method: str = ""
    """``board``, ``depth``, ``stereo`` or ``device``; empty for the middling adult."""
    frames: int = 0
    """Frames it was found from."""
    episodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_frozen(self, "bones_m", np.float64, (20,))
        set_frozen(self, "sigma_m", np.float64, (20,))

    @property
    def palm_mm(self) -> tuple[float, float]:
        """From the wrist to the middle knuckle, and one sigma of it."""
        bone = BONES.index((WRIST, MIDDLE_MCP))
        return float(self.bones_m[bone] * 1e3), float(self.sigma_m[bone] * 1e3)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, lengths in mm to the hundredth."""
        return {"bones_mm": np.round(self.bones_m * 1e3, 2).tolist(), "sigma_mm": np.round(self.sigma_m * 1e3, 2).tolist(),
                "distance": round(self.distance, 4), "distance_sigma": round(self.distance_sigma, 4), "tracker": self.tracker,
                "method": self.method, "frames": self.frames, "episodes": list(self.episodes)}

    def seen_by(self, tracker: str) -> "HandSize":
        """The same hand before a tracker: what was learned with another of how it misjudges distance counts for nothing."""
        if not self.method or tracker == self.tracker:
            return self
        return replace(self, distance=1.0, distance_sigma=UNSEEN_DISTANCE_SIGMA, tracker=tracker)


ADULT = HandSize()
"""Of someone who was not measured."""


def tracker_identity(parameters: Mapping[str, Any]) -> str:
    """What tells trackers that misjudge alike from others, of a tracker's parameters: two that run one model are the same."""
    return str(parameters.get("model_sha256") or parameters.get("tracker") or "")


def wearer_path(library: Path, wearer: str) -> Path:
    """Where a wearer's file is."""
    return library / "wearers" / f"{slug(wearer)}.toml"


def read_sizes(library: Path, wearer: str) -> dict[Side, HandSize]:
    """Both hands of a wearer, one that was not measured from the other; empty when neither was. Raises `DamagedError` for a bad file."""
    path = wearer_path(library, wearer)
    if not path.exists():
        return {}
    again = "measure again with 'firsthand measure-hand', or delete it"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise DamagedError(f"{path} is not a wearer's file of version {VERSION}; {again}")
        found: dict[Side, HandSize] = {side: _from_toml(document["hand"][side]) for side in SIDES if side in document.get("hand", {})}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"cannot read {path} ({error}); {again}") from error
    measured = list(found.values())
    for side in SIDES:
        if side not in found and measured:
            found[side] = replace(measured[0], sigma_m=np.hypot(measured[0].sigma_m, OTHER_HAND_SIGMA * measured[0].bones_m))
    return found


def sizes_of(episode: Episode) -> dict[Side, HandSize]:
    """The hands of an episode's wearer as far as they were measured; empty for an episode outside of a session."""
    try:
        wearer = str(episode.session().get("wearer") or "")
    except DamagedError:
        return {}
    return read_sizes(episode.library, wearer) if wearer else {}


def write_sizes(library: Path, wearer: str, sizes: Mapping[Side, HandSize]) -> Path:
    """Write a wearer's file whole; returns its path. Only the sides given are in it."""
    path = wearer_path(library, wearer)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["# How large this wearer's hands are; made by 'firsthand measure-hand'. Personal: it goes with the wearer's consent.",
             f'format = "{FORMAT}"', f"version = {VERSION}", f'wearer = "{slug(wearer)}"',
             f'measured_utc = "{datetime.now(UTC).isoformat(timespec="seconds")}"']
    for side, size in sizes.items():
        lines += ["", f"[hand.{side}]", *(f"{key} = {json.dumps(value)}" for key, value in size.to_json().items())]
    with whole_file(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _from_toml(table: Mapping[str, Any]) -> HandSize:
    bones, sigma = (np.array(table[key], np.float64) * 1e-3 for key in ("bones_mm", "sigma_mm"))
    distance, share = float(table["distance"]), float(table["distance_sigma"])
    if not (np.all(bones > 0) and np.all(sigma > 0) and 0.5 < distance < 2 and 0 < share < 1):
        raise ValueError("a length, sigma or distance that no hand has")
    return HandSize(bones, sigma, distance, share, str(table["tracker"]), str(table["method"]), int(table["frames"]),
                    tuple(map(str, table["episodes"])))
