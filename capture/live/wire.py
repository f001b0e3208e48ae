"""How the recorder's processes talk: one JSON document a line, over pipes. And stream descriptions and optics as JSON."""

import base64
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.stream import StreamSpec


class Outbox:
    """Where a process says what happened, without ever waiting for who listens: a recorder stopped by Ctrl-Z must not stop the recording.

    It takes stdout for itself: what libraries print goes to stderr, and so into the log.
    """

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._status: bytes | None = None
        self._idle = True
        threading.Thread(target=self._send, name="outbox", daemon=True).start()

    def say(self, event: str, **fields: Any) -> None:
        """Send one line. Of ``status`` lines only the newest is kept."""
        line = json.dumps({"event": event, **fields}).encode() + b"\n"
        with self._changed:
            if event == "status":
                self._status = line
            else:
                self._lines.append(line)
            self._changed.notify_all()

    def flush(self, timeout_s: float = 2.0) -> None:
        """Wait until all is sent, but not for ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle and not self._lines and self._status is None, timeout_s)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._status)
                line = self._lines.popleft() if self._lines else self._status
                if line is self._status:
                    self._status = None
                self._idle = False
            with suppress(OSError):  # nobody listens any more
                rest = memoryview(line or b"")
                while rest:
                    rest = rest[self._file.write(rest) or 0 :]


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
                   "T_rig_cam": c.T_rig_cam.tolist(), "source": c.source, "model": c.model, "rolling_s_px": c.rolling_s_px.tolist()}
            for name, c in calibration.cameras.items()}


def calibration_from_json(document: Mapping[str, Any]) -> Calibration:
    """What `calibration_to_json` gave."""
    return Calibration({name: CameraCalibration(**fields) for name, fields in document.items()})
