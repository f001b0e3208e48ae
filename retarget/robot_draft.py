"""The card a URDF or an MJCF would need: tips, root, wrist, side and axes guessed from names and joints, for a person to complete."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from firsthand.capture.skeleton import FINGERS
from firsthand.retarget.kinematics import FIXED
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_check import nearest_right_angles, operator_axes, rpy_of
from firsthand.retarget.robot_description import Description
from firsthand.retarget.robot_joints import Joint, assemble

_WORDS = {"thumb": ("thumb",), "index": ("index", "forefinger"), "middle": ("middle",), "ring": ("ring",),
          "little": ("little", "pinky", "pinkie")}  # fmt: skip
_CODES = {"thumb": ("th",), "index": ("ff", "if"), "middle": ("mf",), "ring": ("rf",), "little": ("lf",)}
_ENDS = ("tip", "anchor", "end", "distal", "ds")
_FINGER_M = 0.45
_NOT_TIPS = ("sensor", "fsr", "touch", "camera", "collision", "imu", "tch")


@dataclass(frozen=True)
class Draft:
    """A card to be completed."""

    card: str
    kind: Literal["hand", "arm"]
    faults: tuple[str, ...]
    """What a person must add before it can be used."""
    joints: tuple[str, ...]
    """The joints of the part it uses."""


def draft_card(description: Description, path: Path) -> Draft:
    """A card for the robot in a file; of a robot with arms and hands, its hand where it has one.

    It is a hand where links are named as fingers, or where it has three to five moving ends no farther apart than a hand's.
    """
    ends = _moving_ends(description)
    tips = find_tips(description)
    if tips or (3 <= len(ends) <= 5 and max(_own_length(description, end, ends) for end in ends) < _FINGER_M):
        return _hand(description, path, tips, ends)
    return _arm(description, path, ends)


def find_tips(description: Description) -> dict[str, str]:
    """Finger -> the link at its tip, by names in English or of the usual short kind (``th_tip``, ``ffdistal``)."""
    moved = [link for link in description.links[1:] if any(joint.kind != FIXED for joint in description.path(link))]
    found = {}
    for finger in FINGERS:
        named = [link for link in moved if _is_of(link, finger) and not any(word in link.lower() for word in _NOT_TIPS)]
        if named:
            found[finger] = max(named, key=lambda link: (any(word in link.lower() for word in _ENDS[:2]), len(description.path(link))))
    return found


def _is_of(link: str, finger: str) -> bool:
    name = link.lower()
    if any(word in name for word in _WORDS[finger]) and not (finger == "ring" and "spring" in name):
        return True
    parts = re.split(r"[^a-z0-9]+", name)
    return any(part == code or (part.startswith(code) and part[len(code):] in (*_ENDS, "middle", "proximal", "knuckle"))
               for part in parts for code in _CODES[finger])  # fmt: skip


def _moving_ends(description: Description) -> list[str]:
    """One link for each branch that moves and does not branch again into moving ones."""
    moving = [joint.child for joint in description.joints if joint.kind != FIXED]
    above = {step.child for link in moving for step in description.path(link)[:-1]}
    return [link for link in moving if link not in above]


def _own_length(description: Description, end: str, ends: list[str]) -> float:
    """How long a branch is from where all part, metres."""
    shared = set.intersection(*({joint.name for joint in description.path(other)} for other in ends))
    return float(sum(np.linalg.norm(joint.p0) for joint in description.path(end) if joint.name not in shared))


def _hand(description: Description, path: Path, tips: dict[str, str], ends: list[str]) -> Draft:
    faults = []
    known = ", ".join(list(tips.values()) + [end for end in ends if end not in tips.values()][:8])
    if "thumb" not in tips or len(tips) < 2:
        what = "tip of a thumb" if "thumb" not in tips else "tip of a finger besides the thumb"
        faults.append(f"{description.file}: no link is named as the {what} (its ends are {known}); "
                      "name the tips under [fingers] in a card, which --card FILE begins for you")
    paths = [description.path(link) for link in (tips.values() if len(tips) > 1 else ends)]
    common = [steps[0] for steps in zip(*paths, strict=False) if len({step.name for step in steps}) == 1]
    root = common[-1].child if common else description.root
    below = description.below(root)
    fixed = [joint.child for joint in below if joint.kind == FIXED and joint.parent == root]
    wrist = next((link for link in fixed if "wrist" in link.lower()), root)
    side, rpy = "right", [0.0, 0.0, 0.0]
    if not faults:
        side, rpy = _axes(description, root, wrist, tips)
    side = _told_side(f"{path.stem} {description.links[-1]} {root}") or side
    if not faults:
        _, rpy = _axes(description, root, wrist, tips, side)
    turn = ", ".join(f"{value:.10g}" for value in rpy)
    lines = [f'root = "{root}"', "", "[wrist]", f'link = "{wrist}"', f"rpy = [{turn}]   # a guess: check the picture", "", "[fingers]"]
    lines += [f'{finger} = "{tips[finger]}"' if finger in tips else f'# {finger} = ""' for finger in FINGERS]
    return Draft(_card(description, path, "hand", side, lines, below), "hand", tuple(faults), tuple(joint.name for joint in below))


def _axes(description: Description, root: str, wrist: str, tips: dict[str, str], side: str = "") -> tuple[str, list[float]]:
    """The side of a hand, by the way it closes, and the turn of its wrist link to operator axes."""
    joints = [_bounded(joint) for joint in description.below(root)]
    chosen = assemble(Table(description.file, "", {}), joints, root)
    chain = chosen.chain
    links = {finger: chain.link(link) for finger, link in tips.items()}
    R, closing_m = operator_axes(chain, links, chosen.lower, chosen.upper, side or "right")
    if not side and closing_m < 0:
        side = "left"
        R, _ = operator_axes(chain, links, chosen.lower, chosen.upper, side)
    R_root_wrist = np.eye(3)
    if wrist != root:
        R_root_wrist = chain.R0[chain.link(wrist)]
    return side or "right", [float(value) + 0.0 for value in rpy_of(nearest_right_angles(R @ R_root_wrist))]


def _bounded(joint: Joint) -> Joint:
    free = not np.isfinite(joint.upper - joint.lower) or joint.lower >= joint.upper
    return replace(joint, lower=-1.0, upper=1.0) if free and joint.kind != FIXED else joint


def _told_side(text: str) -> str:
    found = {side for side in ("left", "right") if re.search(rf"(?<![a-z]){side}(?![a-z])|(?<![a-z]){side[0]}(?![a-z])", text.lower())}
    return found.pop() if len(found) == 1 else ""


def _arm(description: Description, path: Path, ends: list[str]) -> Draft:
    lines = [f'root = "{description.root}"   # x forward, z up']
    for end in ends:
        lines += ["", f"[ends.{re.sub('[^A-Za-z0-9_]+', '_', end)}]", f'link = "{end}"']
    faults = () if ends else (f"{description.file}: no joint moves; a robot needs at least one revolute or prismatic joint",)
    names = tuple(joint.name for joint in description.joints)
    return Draft(_card(description, path, "arm", "any", lines, description.joints), "arm", faults, names)


def _card(description: Description, path: Path, kind: str, side: str, lines: list[str], joints: tuple[Joint, ...]) -> str:
    name = re.sub("[^A-Za-z0-9_]+", "_", path.stem).strip("_") or "robot"
    scheme = "mjcf" if description.root == "world" and path.suffix != ".urdf" else "urdf"
    head = ['format = "firsthand.robot"', "version = 1", "", f'name = "{name}"', f'title = "{name}"', f'kind = "{kind}"',
            f'side = "{side}"', f'source = "{description.file}"', 'licence = "not told"', f'model = "{scheme}:{path.name}"']  # fmt: skip
    free = [joint.name for joint in joints if joint.kind != FIXED and not joint.mimic and not np.isfinite(joint.upper - joint.lower)]
    changes = ["", "[joints]", *(f'# "{joint}" = {{ limits = [-1.0, 1.0] }}   # has none in the model' for joint in free)] if free else []
    return "\n".join([*head, *lines, *changes]) + "\n"
