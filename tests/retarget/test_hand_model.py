"""The recipe of the hand model, run on a wheel made from the model itself, so that no network is needed after the first time."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256
from firsthand.retarget.hand_model import (
    FILE_NAME,
    LICENCE,
    LICENCE_NAME,
    MEMBERS,
    MODEL_SHA256,
    VARIABLE,
    WHEEL,
    Wheel,
    build_hand_model,
    download,
    hand_model,
    model_identity,
    pack,
)

WHEEL_NAME = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.fixture(scope="module")
def model() -> Path:
    """The real model: cached, or built now."""
    return hand_model()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without network, model or cache; returns where its cache would be."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nothing listens there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "cache"


def write_wheel(folder: Path, networks: dict[str, bytes]) -> Path:
    """A wheel as pip knows it, with the given files in the places of the networks."""
    folder.mkdir(exist_ok=True)
    path = folder / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as archive:
        info = "mediapipe-0.10.21.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr(LICENCE, "the licence")
        for member, content in networks.items():
            archive.writestr(member, content)
    return path


def real_networks(model: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(model) as archive:
        return {member: archive.read(name) for name, member, _ in MEMBERS}


def pinned(wheel: Path) -> Wheel:
    return Wheel(WHEEL.requirement, sha256(wheel), wheel.stat().st_size, WHEEL.platform)


def test_the_model_is_two_stored_networks_with_their_licence_beside_it(model: Path) -> None:
    if os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is set: another model is in use")
    assert sha256(model) == MODEL_SHA256 == model_identity()
    assert "Apache License" in model.with_name(LICENCE_NAME).read_text(encoding="utf-8")
    with zipfile.ZipFile(model) as archive:
        inside = [(entry.filename, entry.compress_type) for entry in archive.infolist()]
    assert inside == [(name, zipfile.ZIP_STORED) for name, _, _ in MEMBERS]


def test_the_same_bytes_come_out_wherever_it_is_built(model: Path, offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "wheels", real_networks(model))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    seen: list[tuple[int, int]] = []
    built = build_hand_model(tmp_path / "out" / FILE_NAME, lambda done, total: seen.append((done, total)), wheel=pinned(wheel))
    assert built.read_bytes() == model.read_bytes()
    size = wheel.stat().st_size
    assert seen[-1] == (size, size) and all(done <= total == size for done, total in seen)
    assert sorted(p.name for p in built.parent.iterdir()) == [LICENCE_NAME, FILE_NAME]


def test_two_builds_at_once_leave_one_whole_model(model: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "wheels", real_networks(model))
    code = "import sys, pathlib; from firsthand.retarget.hand_model import pack; pack(*map(pathlib.Path, sys.argv[1:]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(wheel), str(tmp_path / "out" / FILE_NAME)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sha256(tmp_path / "out" / FILE_NAME) == MODEL_SHA256
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_cached_model_needs_no_network(model: Path, offline: Path) -> None:
    (offline / "firsthand").mkdir(parents=True)
    (offline / "firsthand" / FILE_NAME).write_bytes(model.read_bytes())
    assert hand_model() == offline / "firsthand" / FILE_NAME


def test_without_a_network_the_error_says_how_to_bring_the_file(offline: Path, tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match=f"no connection.*firsthand models build.*{VARIABLE}"):
        hand_model()
    assert not offline.exists() and not list((tmp_path / "temporary").iterdir())


def test_a_damaged_cached_model_is_never_used(offline: Path) -> None:
    (offline / "firsthand").mkdir(parents=True)
    (offline / "firsthand" / FILE_NAME).write_bytes(b"half a mod")
    with pytest.raises(FirsthandError, match="could not be built"):
        hand_model()


def test_pip_refuses_a_wheel_that_is_not_the_pinned_one(offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(write_wheel(tmp_path / "wheels", {}).parent))
    with pytest.raises(FirsthandError, match="could not be built"):
        build_hand_model(tmp_path / "out" / FILE_NAME)
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_not_the_pinned_one_is_refused(model: Path, tmp_path: Path) -> None:
    networks = real_networks(model)
    networks[MEMBERS[1][1]] += b"!"
    with pytest.raises(FirsthandError, match=r"hand_landmark_full\.tflite.*has SHA-256"):
        pack(write_wheel(tmp_path / "wheels", networks), tmp_path / "out" / FILE_NAME)
    assert not (tmp_path / "out").exists()


def test_a_wheel_without_the_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="is not the published mediapipe wheel"):
        pack(write_wheel(tmp_path / "wheels", {}), tmp_path / "out" / FILE_NAME)


def test_what_pip_says_is_passed_on(offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FirsthandError, match="No matching distribution found"):
        download(WHEEL, tmp_path)


def test_a_named_model_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "own.task"
    own.write_bytes(b"another model")
    monkeypatch.setenv(VARIABLE, str(own))
    assert hand_model() == own and model_identity() == sha256(own) != MODEL_SHA256


def test_a_named_model_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.task"))
    with pytest.raises(FirsthandError, match=rf"{VARIABLE} is .*gone\.task, but there is no such file"):
        hand_model()
