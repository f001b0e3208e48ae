"""The hand tracker's networks, made once from the published mediapipe 0.10.21 wheel and kept in the user's cache."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256, whole_file

VARIABLE = "FIRSTHAND_HAND_MODEL"
"""Environment variable that names a model file to use instead."""
MODEL_SHA256 = "ef3f184fa8d5e6905ea4770282627d6937975119af763054312d05985c059bda"
"""Of the packed model."""
FILE_NAME = "hand-landmarker-full.task"
LICENCE_NAME = "hand-landmarker-full.LICENSE.txt"

BY_HAND = f"run 'firsthand models build' where there is a network and bring the file it names here, then set {VARIABLE} to its path"


@dataclass(frozen=True)
class Wheel:
    """One published wheel, pinned. Only data files are taken out of it, so the same one serves every machine."""

    requirement: str
    sha256: str
    size_bytes: int
    platform: tuple[str, ...]


WHEEL = Wheel(
    "mediapipe==0.10.21", "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3", 35_622_638,
    ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
)  # fmt: skip
"""The last release whose wheel carries the networks (Apache-2.0)."""
MEMBERS = (
    ("hand_detector.tflite", "mediapipe/modules/palm_detection/palm_detection_full.tflite",
     "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54"),
    ("hand_landmarks_detector.tflite", "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
     "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3"),
)  # fmt: skip
"""(name in the packed model, path in the wheel, SHA-256), in the order they are packed."""
PARTS = tuple(name for name, _, _ in MEMBERS)
"""Names in the packed model: the palm network, the landmark network."""
LICENCE = "mediapipe-0.10.21.dist-info/LICENSE"

Progress = Callable[[int, int], None]


def cache_folder() -> Path:
    """Where firsthand keeps what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firsthand"


def hand_model(progress: Progress | None = None) -> Path:
    """The path of the model: the one `VARIABLE` names, else the cached one, else it is built now (a 35 MB download).

    Raises `FirsthandError` when the named file is not there, or when it cannot be built here.
    """
    if override := os.environ.get(VARIABLE):
        if not Path(override).is_file():
            raise FirsthandError(f"{VARIABLE} is {override}, but there is no such file; correct it, or unset it to have the model built")
        return Path(override)
    path = cache_folder() / FILE_NAME
    if path.is_file() and sha256(path) == MODEL_SHA256:
        return path
    return build_hand_model(path, progress)


def model_identity() -> str:
    """SHA-256 of the model that `hand_model` gives, told without building it."""
    return sha256(hand_model()) if os.environ.get(VARIABLE) else MODEL_SHA256


def build_hand_model(path: Path, progress: Progress | None = None, *, wheel: Wheel = WHEEL) -> Path:
    """Download the pinned wheel with pip, check it, and write the model and its licence, each whole or not at all.

    `progress` gets bytes so far and bytes in all. The result is the same to the byte everywhere.
    """
    with tempfile.TemporaryDirectory(prefix="firsthand-model-") as folder:
        pack(download(wheel, Path(folder), progress), path)
    return path


def download(wheel: Wheel, folder: Path, progress: Progress | None = None) -> Path:
    """Have pip bring a pinned wheel into `folder`. Raises `FirsthandError` with what pip says when it cannot."""
    requirements, log, into = folder / "requirements.txt", folder / "pip.log", folder / "wheel"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--only-binary=:all:",
               "--require-hashes", *wheel.platform, "--no-cache-dir", "--retries", "2", "--progress-bar", "off",
               "--dest", str(into), "-r", str(requirements)]
    # pip downloads to its temporary folder first: put it where the growing file can be seen.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
        try:
            while process.poll() is None:
                if progress:
                    progress(min(_bytes_in(folder), wheel.size_bytes), wheel.size_bytes)
                time.sleep(0.1)
        finally:
            process.kill()  # does nothing once it has ended
            process.wait()
    found = sorted(into.glob("*.whl"))
    if process.returncode or not found:
        raise FirsthandError(f"the hand model could not be built: pip download {wheel.requirement} failed ({_reason(log)}); {BY_HAND}")
    if progress:
        progress(wheel.size_bytes, wheel.size_bytes)
    return found[0]


def pack(wheel: Path, path: Path) -> None:
    """Write the model: a stored zip of the two networks with fixed dates and order, and the licence beside it.

    Raises `FirsthandError` when a file in the wheel is not the one that was pinned.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {member: archive.read(member) for _, member, _ in MEMBERS}
            licence = archive.read(LICENCE)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FirsthandError(f"{wheel.name} is not the published mediapipe wheel ({error}); {BY_HAND}") from error
    for _, member, wanted in MEMBERS:
        if (got := hashlib.sha256(contents[member]).hexdigest()) != wanted:
            raise FirsthandError(f"{member} in {wheel.name} has SHA-256 {got}, wanted {wanted}; {BY_HAND}")
    with whole_file(path.with_name(LICENCE_NAME)) as part:
        part.write_bytes(licence)
    with whole_file(path) as part:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:  # the tracker reads stored members only
            for name, member, _ in MEMBERS:
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system, entry.external_attr = 3, 0o600 << 16  # the same bytes on every system
                archive.writestr(entry, contents[member])
        if (got := sha256(part)) != MODEL_SHA256:
            raise FirsthandError(f"the packed hand model has SHA-256 {got}, wanted {MODEL_SHA256}; please report this")


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # which, unlike rglob, passes over folders that pip removes meanwhile
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def _reason(log: Path) -> str:
    """What went wrong, in pip's words where they help."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if any("Retrying" in line for line in lines):
        return "no connection to the package index"
    errors = [line for line in lines if "error" in line.lower() or "no module" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ").rstrip(".")[:200]
