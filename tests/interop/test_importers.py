"""What our importers bring in against what other people's readers find: counts, first and last stamps, values, projections."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.importer import import_take, look
from firsthand.capture.importers.gopro import STREAMS
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def readers_python(request: pytest.FixtureRequest) -> str:
    """The Python that has the readers; built on first use, with progress on the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        built = subprocess.run([sys.executable, str(HERE / "source_readers_venv.py")], stdout=subprocess.PIPE, text=True, check=True)
    return built.stdout.strip()


@pytest.fixture
def theirs(readers_python: str) -> Callable[[str, Path], dict[str, list[Any]]]:
    def read(kind: str, path: Path) -> dict[str, list[Any]]:
        done = subprocess.run([readers_python, str(HERE / "read_source.py"), kind, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]

    return read


@pytest.fixture
def ours(shared: Path, tmp_path: Path) -> Callable[[str], tuple[Path, Episode]]:
    def bring(name: str) -> tuple[Path, Episode]:
        source, asked = shared / "data" / "media" / name, Asked(keep_eyes=True)
        if not source.exists():
            pytest.skip(f"{source} is not there")
        return source, import_take(source, look(source, asked), 0, tmp_path / "library", asked)[0]

    return bring


@pytest.mark.parametrize(("name", "stamped"), [("max-heromode.mp4", True), ("karma.mp4", False)])
def test_gopro_streams_are_those_of_gopros_own_parser(name: str, stamped: bool, ours: Any, theirs: Any) -> None:
    source, episode = ours(f"gopro/{name}")
    found = theirs("gopro", source)
    assert len(found) >= 4
    with episode.recording() as recording:
        by_key = {stream.spec.extra.get("gpmf"): stream for stream in recording.streams.values()}
        for key, (count, first_s, last_s, first, last) in found.items():
            stream = by_key[key]
            assert len(stream) == count
            scale = 1e-6 if key == "MAGN" else 1.0
            for row, wanted in ((stream.values[0], first), (stream.values[-1], last)):
                if key in ("ACCL", "GYRO"):  # theirs are in the order z, x, y
                    wanted = [wanted[1], wanted[2], wanted[0]]
                width = min(len(wanted), len(STREAMS[key][2]))
                np.testing.assert_allclose(row[:width], np.array(wanted[:width]) * scale, rtol=1e-5, atol=1e-9)
            # Where the camera stamps nothing they fit one rate to the whole film; then the ends may differ by most of a packet.
            assert abs(stream.t_ns[0] * 1e-9 - first_s) < (1e-6 if stamped else 0.2)
            period_s = float(np.median(np.diff(stream.t_ns))) * 1e-9  # nothing says how long the last packet lasts
            assert abs(stream.t_ns[-1] * 1e-9 - last_s) < (period_s if stamped else 1.0)


@pytest.mark.parametrize("name", ["gen1_unit_test_timecode.vrs", "gen2_unit_test.vrs"])
def test_aria_streams_and_projections_are_those_of_arias_own_tools(name: str, ours: Any, theirs: Any) -> None:
    source, episode = ours(f"aria/{name}")
    found = theirs("aria", source)
    left_behind = {"231-1", "246-1", "248-1", "281-1", "281-2", "282-1", "283-1", "500-1"}
    with episode.recording() as recording:
        by_id: dict[str, list[Any]] = {}
        for stream in recording.streams.values():
            by_id.setdefault(str(stream.spec.extra.get("vrs")), []).append(stream)
        by_id["371-1"] = [recording[f"hand-{side}"] for side in ("left", "right") if f"hand-{side}" in recording.streams]
        for ident, (count, first_s, last_s, *_) in found.items():
            if ident.startswith("project") or ident in left_behind or not count:
                continue
            for stream in by_id[ident]:
                assert len(stream) == count, ident
                np.testing.assert_allclose(stream.t_ns[[0, -1]] * 1e-9, [first_s, last_s], atol=1e-9)
        checked = _check_projections(recording, found)
    assert checked == (3 if "gen1" in name else 5)


def _check_projections(recording: Recording, found: dict[str, list[Any]]) -> int:
    """Points before the glasses fall on the same pixels, in pictures that we show upright and they as they were stored."""
    checked = 0
    for stream in recording.role("camera"):
        extra, camera = stream.spec.extra, recording.calibration.cameras.get(stream.spec.name)
        if camera is None or stream.spec.name.startswith("eye"):
            continue
        _, _, _, seen, T_device_cam = found[f"project {extra['label']}"]
        rays, pixels = (np.array(part) for part in zip(*seen, strict=True))
        height = stream.spec.height_px or 0
        for _ in range(-extra["rotation_deg"] // 90 % 4):  # a quarter turn clockwise
            pixels, height = np.stack([height - 1 - pixels[:, 1], pixels[:, 0]], 1), stream.spec.width_px or 0
        T = np.linalg.inv(camera.T_rig_cam) @ np.array(T_device_cam)
        np.testing.assert_allclose(camera.project(rays @ T[:3, :3].T + T[:3, 3]), pixels, atol=1e-3)
        checked += 1
    return checked


@pytest.mark.parametrize("name", ["minimal", "clock_resets", "empty_streams"])
def test_xdf_streams_are_those_of_pyxdf(name: str, ours: Any, theirs: Any) -> None:
    source, episode = ours(f"lsl/{name}.xdf")
    with episode.recording() as recording:
        by_name = {stream.spec.extra.get("name"): stream for stream in recording.streams.values()}
        for label, (count, first_s, last_s, first, _) in theirs("xdf", source).items():
            stream = by_name[label]
            assert len(stream) == count
            if count:
                np.testing.assert_allclose(stream.t_ns[[0, -1]] * 1e-9, [first_s, last_s], atol=1e-3)
            if count and stream.spec.kind == "numeric":
                np.testing.assert_allclose(stream.values[0], np.array(first, float), rtol=1e-6)


def test_a_realsense_bag_loses_no_picture(ours: Any, theirs: Any) -> None:
    source, episode = ours("realsense/single_depth_color_640x480.bag")
    pictures = {topic: count for topic, (count, *_) in theirs("realsense", source).items() if topic.endswith("/image/data")}
    with episode.recording() as recording:
        assert sorted(pictures.values()) == sorted([len(recording["head"]), len(recording["depth"])])


def test_every_frame_of_a_video_is_at_the_time_opencv_finds(ours: Any) -> None:
    import cv2

    source, episode = ours("hands/human_hand_video.mp4")
    theirs, times_ms = cv2.VideoCapture(str(source)), []
    while theirs.grab():
        times_ms.append(theirs.get(cv2.CAP_PROP_POS_MSEC))
    with episode.recording() as recording:
        assert len(recording["head"]) == len(times_ms) == 621
        np.testing.assert_allclose(recording["head"].t_ns * 1e-6, times_ms, atol=1e-3)
