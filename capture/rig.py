"""The rig file: which devices a collector wears, and what happens when one fails. TOML; told in docs/rig-file.md."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from firsthand.capture.anchor import Anchor, parse_anchors
from firsthand.capture.driver import DRIVERS
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.plugins import names

OnLost = Literal["continue", "stop"]


@dataclass(frozen=True)
class Device:
    """One device, or a group of devices on one bus: everything its driver opens runs in one process."""

    name: str
    """Unique in the rig."""
    driver: str
    """A name in `DRIVERS`, one that another package adds, or ``"module:function"``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the driver's factory is called with."""
    encode: Mapping[str, str] = field(default_factory=dict)
    """Stream -> how its raw pictures are stored, such as ``"jpeg:85"`` or ``"h264"``."""
    required: bool = True
    """No take begins without it."""
    on_lost: OnLost = "continue"
    """What happens to a take when the device vanishes: it goes on with what is left, or it stops."""


@dataclass(frozen=True)
class Rig:
    """What is worn, as its file says."""

    name: str
    devices: tuple[Device, ...]
    pre_roll_s: float = 2.0
    """So much of what came before the start is in each take."""
    sync: Path | None = None
    """The constant latencies that ``firsthand calibrate`` found."""
    source: str = "wearable"
    """Which rung of the data ladder its takes are."""
    anchors: tuple[Anchor, ...] = ()
    """Boards and tags that stand still where it is worn."""

    def to_json(self) -> dict[str, Any]:
        """What goes into a session's document."""
        devices = [{"name": d.name, "driver": d.driver, "options": dict(d.options), "encode": dict(d.encode), "required": d.required,
                    "on_lost": d.on_lost} for d in self.devices]
        return {"name": self.name, "pre_roll_s": self.pre_roll_s, "sync": str(self.sync) if self.sync else None, "devices": devices,
                **({"anchors": [anchor.to_json() for anchor in self.anchors]} if self.anchors else {})}


def load_rig(path: Path) -> Rig:
    """Read a rig file. Raises `FirsthandError` naming the line or the key that is wrong, and what it should be."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise FirsthandError(f"cannot read the rig file {path}: {error.strerror}; examples/rigs has some to start from") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FirsthandError(f"{path} is no TOML: {error}") from error
    tables = document.pop("device", None)
    if not isinstance(tables, list) or not tables:
        raise FirsthandError(f"{path} names no device; add a [[device]] table with a name and a driver")
    document.setdefault("name", path.stem)
    anchors = parse_anchors(f"{path}", document.pop("anchor", []))
    sync = document.pop("sync", None)
    values = _checked(f"{path}", document, Rig, {"name": str, "pre_roll_s": (int, float), "source": str})
    if not 0 <= values.get("pre_roll_s", 0) <= 30:
        raise FirsthandError(f"{path}: pre_roll_s is {values['pre_roll_s']}; it is kept in memory, so ask for 0 to 30 seconds")
    devices = tuple(_device(path, number, table) for number, table in enumerate(tables, 1))
    for device in devices:
        if sum(d.name == device.name for d in devices) > 1:
            raise FirsthandError(f"{path}: two devices are called {device.name!r}; give each a name of its own")
    if sync is not None and not isinstance(sync, str):
        raise FirsthandError(f"{path}: sync is {sync!r}; it is the file that 'firsthand calibrate --save' wrote, as text")
    return Rig(devices=devices, sync=path.parent / sync if sync else None, anchors=anchors, **values)


def _device(path: Path, number: int, table: Any) -> Device:
    where = f"{path}, device {number}"
    kinds = {"name": str, "driver": str, "options": dict, "encode": dict, "required": bool, "on_lost": str}
    values = _checked(where, table if isinstance(table, dict) else {}, Device, kinds)
    for key in ("name", "driver"):
        if not values.get(key):
            raise FirsthandError(f"{where} has no {key}; every device needs a name and a driver")
    known = names("drivers", DRIVERS)
    if values["driver"] not in known and ":" not in values["driver"]:
        raise FirsthandError(f"{where}: {unknown('driver', values['driver'], known)}")
    if values.get("on_lost", "stop") not in get_args(OnLost):
        raise FirsthandError(f"{where}: on_lost is {values['on_lost']!r}; it is 'continue' or 'stop'")
    return Device(**values)


def _checked(where: str, table: Mapping[str, Any], kind: type, types: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a table whose keys and types are those given."""
    allowed = {f.name for f in fields(kind)} & set(types)
    for key, value in table.items():
        if key not in allowed:
            raise FirsthandError(f"{where}: {unknown('key', key, allowed)}")
        if not isinstance(value, types[key]) or (isinstance(value, bool) and types[key] is not bool):
            raise FirsthandError(f"{where}: {key} cannot be {value!r}")
    return dict(table)
