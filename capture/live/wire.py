"""How the recorder's processes talk: one JSON document a line, over pipes. And stream descriptions and optics as JSON."""

import base64
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TextIO

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.stream import StreamSpec


class Outbox:
    """Where a process says what happened. It takes stdout for itself: what libraries print goes to stderr, and so into the log."""

    def __init__(self) -> None:
        self._file: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, event: str, **fields: Any) -> None:
        """Send one line. Says nothing once nobody listens any more."""
        with self._lock:
            try:
                self._file.write(json.dumps({"event": event, **fields}) + "\n")
                self._file.flush()
            except (BrokenPipeError, ValueError):
                pass


def lines(file: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The documents that come in, until the other end is gone."""
    for line in file:
        yield json.loads(line)


def commands() -> Iterator[dict[str, Any]]:
    """What the supervisor asks for, until it is gone."""
    return lines(sys.stdin)


def spec_to_json(spec: StreamSpec) -> dict[str, Any]:
    """A stream's description as plain JSON."""
    return {**asdict(spec), "extradata": base64.b64encode(spec.extradata).decode()}


def spec_from_json(document: Mapping[str, Any]) -> StreamSpec:
    """What `spec_to_json` gave."""
    made = {"names": tuple(document["names"]), "units": tuple(document["units"]), "extradata": base64.b64decode(document["extradata"])}
    return StreamSpec(**{**document, **made})


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """Optics and mounting as plain JSON."""
    return {name: {"K": c.K.tolist(), "width_px": c.width_px, "height_px": c.height_px, "distortion": c.distortion.tolist(),
                   "T_rig_cam": c.T_rig_cam.tolist(), "source": c.source} for name, c in calibration.cameras.items()}


def calibration_from_json(document: Mapping[str, Any]) -> Calibration:
    """What `calibration_to_json` gave."""
    return Calibration({name: CameraCalibration(**fields) for name, fields in document.items()})
