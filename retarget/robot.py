"""What hands are retargeted to: a gripper or a robot hand, read from a TOML card without meshes."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.skeleton import FINGERS, Side
from firsthand.retarget.kinematics import Chain, rotation
from firsthand.retarget.robot_card import REQUIRED, Table
from firsthand.retarget.robot_joints import place_on_wrist, read_joints
from firsthand.retarget.robot_model import model_joints

Floats = npt.NDArray[np.float64]
_AXES = {sign + "xyz"[i]: s * np.eye(3)[i] for i in range(3) for sign, s in (("+", 1), ("-", -1))}
_CARDS = Path(__file__).with_name("robots")  # importlib.resources cannot open a folder without __init__.py in an editable install
COMMON = ("format", "version", "name", "title", "kind", "side", "source", "licence")
"""Fields of cards of all kinds."""


@dataclass(frozen=True, eq=False)
class HandModel:
    """What only a robot hand has."""

    chain: Chain
    """Its links; positions are in operator axes (``operator_frame.py``), from the robot's own wrist."""
    fingers: tuple[str, ...]
    """The fingers it has, thumb first, by their human names."""
    tips: tuple[int, ...]
    """The link at the tip of each of them, as a number in `chain`."""
    scale: tuple[float | None, ...]
    """How large the human's fingers are drawn for it, each; None measures it from the recording."""
    pinch: tuple[tuple[str, str], ...]
    """Pairs of fingertips that must meet when the person's do."""
    T_operator_ee: Floats
    """The wrist link's pose seen from the human wrist, in operator axes, shape (4, 4), metres."""
    wrist: int = -1
    """The wrist link, as a number in `chain`; -1 is its root."""

    def __post_init__(self) -> None:
        set_frozen(self, "T_operator_ee", np.float64, (4, 4))


@dataclass(frozen=True, eq=False)
class RobotModel:
    """A robot end effector that can follow a human hand. Made by `load_robot`."""

    name: str
    title: str
    kind: Literal["gripper", "hand"]
    side: Literal["left", "right", "any"]
    """The human hand it follows."""
    source: str
    """Where the numbers come from."""
    licence: str
    joint_names: tuple[str, ...]
    """Active joints, in the order of the actions; a gripper has the single joint ``width``."""
    joint_units: tuple[str, ...]
    """``rad`` or ``m`` per joint."""
    lower: Floats
    """Lower limit of each joint, shape (J,)."""
    upper: Floats
    velocity: Floats
    """Largest speed of each joint per second, shape (J,); infinite where the card does not limit it."""
    sha256: str
    """Content hash of the card."""
    R_grasp_tcp: Floats = field(default_factory=lambda: np.eye(3))
    """For a gripper: takes its TCP axes to those of the grasp (y from thumb to index finger, z from palm to tips), shape (3, 3)."""
    flange_tcp_m: Floats = field(default_factory=lambda: np.zeros(3))
    """For a gripper: where its TCP is seen from its flange, axes parallel, shape (3,)."""
    hand: HandModel | None = None
    """For a hand: its links."""

    def __post_init__(self) -> None:
        j = len(self.joint_names)
        for name in ("lower", "upper", "velocity"):
            set_frozen(self, name, np.float64, (j,))
        set_frozen(self, "R_grasp_tcp", np.float64, (3, 3))
        set_frozen(self, "flange_tcp_m", np.float64, (3,))

    def follows(self, side: Side) -> bool:
        """Whether this robot can follow a hand of that side."""
        return self.side in ("any", side)


def robot_names() -> list[str]:
    """The robots whose cards come with firsthand, sorted."""
    return sorted(path.stem for path in _CARDS.glob("*.toml"))


def load_robot(name_or_path: str) -> RobotModel:
    """Read the card of a gripper or a hand that comes with firsthand, or of your own: any path that ends in ``.toml``.

    Raises `FirsthandError`: one sentence that names the card, the field, and what to do. Arms are read by `robot_arm.load_any`.
    """
    path, content = card_file(name_or_path)
    return read_card(content, path.name, path.parent)


def card_file(name_or_path: str) -> tuple[Path, bytes]:
    """Where a card is, by name or path, and what it says."""
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    elif name_or_path.lower().endswith((".urdf", ".xml", ".mjcf")):
        make = f"firsthand robots check {name_or_path} --card mine.toml"
        raise FirsthandError(f"{name_or_path} is not a card; make one that uses it with: {make}")
    elif name_or_path in robot_names():
        path = _CARDS / f"{name_or_path}.toml"
    else:
        raise FirsthandError(f"{unknown('robot', name_or_path, robot_names())}; a card of your own goes by its path, ending in .toml")
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise FirsthandError(f"cannot read the robot card {path}: {error.strerror or error}") from error


def read_card(content: bytes, file_name: str, folder: Path = _CARDS) -> RobotModel:
    """The gripper or hand a card describes; `file_name` is for messages, `folder` is where a model it names is looked for."""
    card, common = open_card(content, file_name)
    if common["kind"] not in ("gripper", "hand"):
        raise FirsthandError(f"{common['name']} has arms, and actions for arms are not made yet; name a gripper or a hand, such as "
                             "panda_gripper, whose poses an arm can follow")
    return _gripper(card, common) if common["kind"] == "gripper" else _hand(card, common, folder)


def open_card(content: bytes, file_name: str) -> tuple[Table, dict[str, Any]]:
    """A card, and what cards of all kinds say: the fields all models have."""
    try:
        card = Table(file_name, "", tomllib.loads(content.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FirsthandError(f"robot card {file_name} is not TOML: {error}") from error
    card.text("format", among=("firsthand.robot",))
    if card.number("version") != 1:
        raise card.fault("version", f"is {card.values['version']}; this firsthand reads version 1: upgrade it")
    name = card.text("name")
    if not (name.isascii() and name.replace("_", "").isalnum()):
        raise card.fault("name", f"is {name!r}; it names a file, so write only letters, digits and _")
    kind = card.text("kind", among=("gripper", "hand", "arm", "composition"))
    common: dict[str, Any] = {
        "name": name, "kind": kind, "title": card.text("title"), "source": card.text("source"), "licence": card.text("licence"),
        "side": card.text("side", REQUIRED if kind == "hand" else "any", among=("left", "right", "any")),
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    return card, common


def _gripper(card: Table, common: Mapping[str, Any]) -> RobotModel:
    card.only((*COMMON, "gripper", "tcp"))
    gripper, tcp = card.table("gripper"), card.table("tcp")
    gripper.only(("width", "velocity"))
    tcp.only(("link", "flange", "approach", "closing"))
    tcp.text("link")
    lower, upper = gripper.limits("width", "m")
    if lower < 0:
        raise gripper.fault("width", f"starts at {lower:g} m; the distance between two pads is never below 0")
    approach, closing = _AXES[tcp.text("approach", among=_AXES)], _AXES[tcp.text("closing", among=_AXES)]
    if approach @ closing != 0:
        raise tcp.fault("closing", "lies along approach; name the axis the fingers move along, across the approach")
    # Columns are where the TCP's axes go: closing to y, approach to z, their product to x.
    R_grasp_tcp = np.stack([np.cross(closing, approach), closing, approach])
    return RobotModel(**common, joint_names=("width",), joint_units=("m",), lower=np.array([lower]), upper=np.array([upper]),
                      velocity=np.array([gripper.number("velocity", np.inf, above=0) if "velocity" in gripper.values else np.inf]),
                      R_grasp_tcp=R_grasp_tcp, flange_tcp_m=tcp.vector("flange", 3, (0, 0, 0)))


def _hand(card: Table, common: Mapping[str, Any], folder: Path) -> RobotModel:
    card.only((*COMMON, "scale", "pinch", "model", "root", "wrist", "fingers", "joints"))
    wrist, tips = card.table("wrist"), card.table("fingers")
    wrist.only(("link", "rpy", "xyz"))
    tips.only(FINGERS)
    fingers = tuple(finger for finger in FINGERS if finger in tips.values)
    if "thumb" not in fingers or len(fingers) < 2:
        raise card.fault("fingers", f"names {' and '.join(fingers) or 'none'}; a hand needs its thumb's tip and that of a finger")
    if "model" in card.values:
        joints, root, model = model_joints(card, folder, [wrist.text("link"), *map(str, tips.values.values())])
        common = {**common, "sha256": hashlib.sha256(common["sha256"].encode() + model).hexdigest()}
    else:
        root = card.text("root")
        joints = read_joints(card, root)
    T_operator_ee = np.eye(4)
    T_operator_ee[:3, :3], T_operator_ee[:3, 3] = rotation(wrist.vector("rpy", 3)), wrist.vector("xyz", 3, (0, 0, 0))
    chain = place_on_wrist(card, joints, root, wrist.text("link"), T_operator_ee[:3, :3])
    for finger in fingers:
        link = tips.text(finger)
        if link not in chain.links:
            raise tips.fault(finger, f"is not a link that hangs on a joint: {unknown('link', link, chain.links)}")
    tip_links = tuple(chain.link(tips.text(finger)) for finger in fingers)
    for finger, number in zip(fingers, tip_links, strict=True):
        right_size(tips, finger, chain, number, 2.0)
    hand = HandModel(chain, fingers, tip_links, _scale(card, fingers), _pinch(card, fingers), T_operator_ee, chain.link(wrist.text("link")))
    return RobotModel(**common, joint_names=joints.names, joint_units=joints.units, lower=joints.lower, upper=joints.upper,
                      velocity=joints.velocity, hand=hand)


def right_size(table: Table, field: str, chain: Chain, link: int, most_m: float) -> None:
    """Refuse a robot in millimetres, or one for a doll's house, by the way from its root to a link."""
    length, i = 0.0, link
    while i >= 0:
        length, i = length + float(np.linalg.norm(chain.p0[i])), int(chain.parent[i])
    if not 0.005 < length < most_m:
        look = ", and these look like millimetres" if length >= most_m else ""
        raise table.fault(field, f"is {length:.3g} m from the root along its links; write lengths in metres{look}")


def _scale(card: Table, fingers: tuple[str, ...]) -> tuple[float | None, ...]:
    value = card.values.get("scale", "auto")
    if value == "auto":
        return (None,) * len(fingers)
    if isinstance(value, Mapping):
        table = card.table("scale")
        table.only(fingers)
        return tuple(table.number(finger, above=0) for finger in fingers)
    if isinstance(value, str):
        raise card.fault("scale", f'is {value!r}; write "auto", a number, or one number per finger')
    return (card.number("scale", above=0),) * len(fingers)


def _pinch(card: Table, fingers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = card.values.get("pinch", [["thumb", finger] for finger in fingers[1:]])
    if not isinstance(pairs, list):
        raise card.fault("pinch", 'is no list; write pairs of fingers such as [["thumb", "index"]]')
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and set(pair) <= set(fingers) and pair[0] == "thumb" != pair[1]):
            raise card.fault("pinch", f"holds {pair!r}; write pairs of the thumb and a finger the robot has ({', '.join(fingers[1:])})")
    return tuple((str(a), str(b)) for a, b in pairs)
