"""What ``firsthand record`` was asked for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.controls.remote import PORT
from firsthand.capture.errors import FirsthandError


@dataclass(frozen=True)
class RecordOptions:
    """The options as they were given."""

    library: Path
    rig: Path
    tasks: tuple[str, ...] = ()
    tasks_file: Path | None = None
    episodes: int | None = None
    duration_s: float | None = None
    countdown_s: float | None = None
    """None: three seconds, and none where takes start by themselves."""
    auto: bool = False
    wearer: str = "w00"
    consent: Path | None = None
    resume: bool = False
    remote: str | None = None
    token: str | None = None
    pedal: str | None = None
    clap: bool = False
    sound: bool = True
    voice: bool = False
    coach: bool = True
    as_json: bool = False


def address(remote: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``HOST`` or ``PORT``."""
    host, colon, port = remote.rpartition(":") if remote.count(":") == 1 or remote.startswith("[") else ("", "", remote)
    if not colon and not remote.isdecimal():
        host, port = remote, str(PORT)
    if not port.isdecimal() or not 0 <= int(port) < 65536:
        raise FirsthandError(f"--remote {remote!r} is no address; write a port, or HOST:PORT such as 127.0.0.1:{PORT}")
    return host.strip("[]") or "127.0.0.1", int(port)


def read_consent(path: Path | None) -> dict[str, Any] | None:
    """The wearer's consent as it goes into the session's document. Raises `FirsthandError` for a file that is no JSON object."""
    if path is None:
        return None
    try:
        consent = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FirsthandError(f"cannot read the consent in {path}: {error}; it is a JSON file, see docs/collecting.md") from error
    if not isinstance(consent, dict):
        raise FirsthandError(f"{path} is no JSON object; a consent names what was agreed to, see docs/collecting.md")
    return consent
