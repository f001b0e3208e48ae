"""The gloves of a session: ``gloves.json`` in its folder, since a session is one wearer, one rig and one sitting."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.errors import DamagedError
from firsthand.capture.files import write_json
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.glove_calibration import GloveCalibration
from firsthand.retarget.glove_channels import Linear
from firsthand.retarget.glove_model import HandShape

FORMAT, VERSION = "firsthand.gloves", 1
_PARTS: Mapping[str, type] = {"linear": Linear, "shape": HandShape}


def gloves_path(episode: Episode) -> Path:
    """Where the calibrations of an episode's gloves are, if they were calibrated."""
    return episode.path.parent / "gloves.json"


def write_gloves(path: Path, gloves: Mapping[Side, GloveCalibration]) -> None:
    """Write them whole, beside those of the other hand that are there already."""
    kept = {**(read_gloves(path) if path.exists() else {}), **gloves}
    write_json(path, {"format": FORMAT, "version": VERSION, "gloves": {side: _plain(kept[side]) for side in SIDES if side in kept}})


def read_gloves(path: Path) -> dict[Side, GloveCalibration]:
    """Calibrations by side; empty where there is no such file. Raises `DamagedError` for one that is something else."""
    again = "run 'firsthand calibrate' on the session's calibration take again, or delete it"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise DamagedError(f"{path} is not a file of gloves of version {VERSION}; {again}")
        return {side: _made(GloveCalibration, document["gloves"][side]) for side in SIDES if side in document["gloves"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"cannot read {path} ({error}); {again}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)} if hasattr(value, "__dataclass_fields__") else value


def _made(kind: type, table: Mapping[str, Any]) -> Any:
    made = {name: _made(_PARTS[name], value) if name in _PARTS else np.array(value, np.float64) if isinstance(value, list) and
            name != "channels" else value for name, value in table.items()}  # fmt: skip
    return kind(**{name: tuple(value) if name == "channels" else value for name, value in made.items()})
