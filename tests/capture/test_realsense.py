"""A live RealSense camera: the SDK's own software device, through the driver and the recorder's real processes."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.decode import decode_images
from firsthand.capture.doctor import devices
from firsthand.capture.drivers.realsense import RealsenseDriver, open_realsense
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.realsense.choose import Asked, Pictures
from firsthand.capture.realsense.optics import T_rig, camera, same_view
from firsthand.capture.realsense.scene import Scene
from firsthand.capture.realsense.sdk import find_unit, load_sdk, refusal
from firsthand.capture.realsense.software import Body, Software, Unit
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.rig import Device, Rig, load_rig
from firsthand.capture.stream import Sample
from firsthand.validation import check

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {"size_px": [96, 64], "fps": 15, "imu_hz": 100, "duration_s": 3}
WAIT_S = 60
STREAMS = {"color": "head", "depth": "head-depth", "accel": "head-accel", "gyro": "head-gyro"}


@pytest.fixture(scope="module")
def rs() -> Any:
    try:
        return load_sdk()
    except FirsthandError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the wearer's pictures are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="module")
def taken(rs: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """A take in which the camera loses samples, is unplugged, and is plugged in again."""
    folder = tmp_path_factory.mktemp("realsense")
    unit = {**SMALL, "drop_rate": 0.04, "vanish_at_s": 2.5, "back_after_s": 0.5}
    Scene(**SMALL).prepare()
    device = Device("cam", "realsense", {"software": unit, "timeout_s": 1.0}, encode={"head": "png", "head-depth": "depth-zstd"})
    with Supervisor(Rig("worn", (device,), pre_roll_s=0), folder / "logs", lambda: folder / "000") as recorder:
        assert recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, WAIT_S), recorder.status()
        recorder.start("try")
        assert recorder.wait(lambda s: s.devices[0].state == "vanished", WAIT_S)
        assert recorder.wait(lambda s: s.devices[0].state == "running", WAIT_S)
        began = {stream.name: stream.samples for stream in recorder.status().streams}
        assert recorder.wait(lambda s: all(stream.samples > began[stream.name] + 5 for stream in s.streams), WAIT_S)
        recorder.stop()
        assert recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", WAIT_S)
    _, faults = check(folder / "000" / "recording.h5", lambda what, done, total: None)
    assert not faults
    with Recording(folder / "000" / "recording.h5") as recording:
        yield recording


def boots(stream: Stream) -> list[slice]:
    """The runs of the camera's clock."""
    edges = [0, *(np.flatnonzero(np.diff(stream.device_ns) < 0) + 1), len(stream)]
    return [slice(a, b) for a, b in pairwise(edges)]


def test_every_value_and_stamp_is_the_cameras(taken: Recording) -> None:
    scene = Scene(**{**SMALL, "drop_rate": 0.04})
    head, depth = taken["head"], taken["head-depth"]
    for image, n in zip(decode_images(head, 0, len(head)), head.sequence.tolist(), strict=True):
        assert np.array_equal(image, scene.color(n))
    for i, n in enumerate(depth.sequence.tolist()):
        assert np.array_equal(np.nan_to_num(depth.depth_m(i)), scene.depth(n).astype(np.float32) * np.float32(0.001))
    for name in ("accel", "gyro"):
        stream = taken[STREAMS[name]]
        assert np.array_equal(stream.values, [scene.motion(name, n) for n in stream.sequence.tolist()])
        assert stream.spec.units == (("m/s^2",) if name == "accel" else ("rad/s",)) * 3
    for name, stream_name in STREAMS.items():
        stream = taken[stream_name]
        for boot, run in enumerate(boots(stream)):
            assert stream.device_ns[run].tolist() == [scene.stamp_us(name, n, boot) * 1000 for n in stream.sequence[run].tolist()]


def test_what_the_camera_lost_is_a_gap_and_so_is_its_absence(taken: Recording) -> None:
    scene = Scene(**{**SMALL, "drop_rate": 0.04})
    lost_any = 0
    for name, stream_name in STREAMS.items():
        sequence, runs = taken[stream_name].sequence, boots(taken[stream_name])
        assert len(runs) == 2, "it was plugged in twice"
        absent = [n for run in runs for n in range(int(sequence[run][0]), int(sequence[run][-1])) if n not in sequence[run]]
        lost = [n for run in runs for n in range(int(sequence[run][0]), int(sequence[run][-1])) if scene.is_lost(name, n)]
        assert set(lost) <= set(absent)
        for suffix in ("", "-metadata"):
            told = [gap for _, gap in taken.gaps if gap["stream"] == stream_name + suffix]
            assert sum(gap["missing"] for gap in told if not gap.get("estimated")) == len(absent)
            assert any(gap.get("estimated") for gap in told)
        lost_any += len(lost)
    assert lost_any
    assert any(m["kind"] == "vanished" for _, m in taken.markers)


def test_each_frame_keeps_its_own_metadata(taken: Recording) -> None:
    for name in ("head", "head-depth"):
        stream, told = taken[name], taken[f"{name}-metadata"]
        values = dict(zip(told.spec.names, told.values.T, strict=True))
        assert np.array_equal(told.sequence, stream.sequence) and np.array_equal(told.device_ns, stream.device_ns)
        assert np.array_equal(values["frame_counter"], stream.sequence)
        assert np.array_equal(values["actual_exposure"], 8000 + stream.sequence % 100)
        assert np.array_equal(np.rint(values["timestamp"] * 1e6), stream.device_ns) and not values["timestamp_domain"].any()
        assert (values["gain_level"] == 16).all() and (values["temperature"] == 41).all() and np.isnan(values["frame_laser_power"]).all()
        assert told.spec.about == name


def test_optics_and_clock_are_recorded(taken: Recording) -> None:
    scene, cameras = Scene(**SMALL), taken.calibration.cameras
    assert set(cameras) == {"head", "head-depth"} and cameras["head"].source == "factory"
    np.testing.assert_allclose(cameras["head"].K, scene.wearer.camera.K, rtol=1e-6)
    depth = taken["head-depth"].spec
    assert depth.extra["depth_unit_m"] == 0.001 and depth.about == "head"  # the software camera has one lens
    assert depth.extra["timestamp_domain"] == "hardware_clock" and depth.wrap_ns == 2**32 * 1000
    assert taken["head-accel"].spec.extra["T_rig_imu"] == np.eye(4).tolist()
    assert depth.extra["intrinsics"]["model"] == "brown_conrady"


class Fed:
    """A camera in a context of its own that delivers what a test tells it to, from a thread that begins when it is started."""

    def __init__(self, rs: Any, *plans: list[tuple[str, int, int]] | None, **unit: Any) -> None:
        self._rs, self._plans, self._held, self._told = rs, plans or (None,), list[Any](), threading.Event()
        self.unit = Unit(Scene(**SMALL), **unit)
        self.bodies = [Body(rs, replace(self.unit, serial=f"{n}")) for n in range(len(self._plans))]

    def _see(self, information: Any) -> None:
        self._held.append(information.get_new_devices())
        self._told.set()

    @contextmanager
    def context(self, rs: Any) -> Iterator[Any]:
        context, stop = rs.context(), threading.Event()
        context.set_devices_changed_callback(self._see)
        for body in self.bodies:
            self._told.clear()
            body.device.add_to(context)
            assert self._told.wait(10)

        def feed() -> None:
            round_ = 0
            while not stop.wait(0.01):
                round_ += 1
                for body, plan in zip(self.bodies, self._plans, strict=True):
                    for stream, last, late_us in plan or [(s, 10**6, 0) for s in STREAMS]:
                        if round_ <= last:
                            body.deliver(stream, round_, round_ * 10_000 + late_us)

        thread = threading.Thread(target=feed, daemon=True)
        thread.start()
        yield context
        stop.set()
        thread.join()
        self._held.clear()


def driver(fed: Fed, serial: str = "", asked: Asked | None = None, timeout_s: float = 5.0) -> RealsenseDriver:
    return RealsenseDriver("head", serial, asked or Asked(), timeout_s, fed)  # type: ignore[arg-type]


def some(one: RealsenseDriver, count: int = 40) -> list[Sample]:
    samples: list[Sample] = []
    while len(samples) < count:
        samples += one.read(0.1) or []
    return samples


def test_cameras_are_told_apart_by_their_serial_numbers(rs: Any) -> None:
    fed = Fed(rs, None, None)
    for serial, words in (("", r"^2 RealSense cameras are connected: 0 \(Software camera\), 1 .*; name one of them with serial"),
                          ("7", r"^no RealSense camera 7 is connected, but 0 .*, 1 .*; correct serial, or check the cable")):
        with pytest.raises(FirsthandError, match=words), driver(fed, serial):
            pass
    with fed.context(rs) as context:
        assert find_unit(rs, context, "1").serial == "1"
    with pytest.raises(FirsthandError, match=r"^no RealSense camera 7 is connected; check its cable"):
        find_unit(rs, type("Nothing", (), {"query_devices": list})(), "7")
    with driver(fed, "1") as one:
        assert {s.stream for s in some(one)} >= set(STREAMS.values())


def test_frames_of_one_frameset_keep_their_own_stamps(rs: Any) -> None:
    with driver(Fed(rs, [("depth", 10**6, 0), ("color", 10**6, 1500), ("accel", 10**6, 7), ("gyro", 10**6, 11)])) as one:
        samples = some(one, 80)
    late = {s.stream: (s.device_ns - s.sequence * 10_000_000) // 1000 for s in samples if not s.stream.endswith("metadata")}
    assert late == {"head-depth": 0, "head": 1500, "head-accel": 7, "head-gyro": 11}


def test_one_stream_that_falls_silent_is_told(rs: Any) -> None:
    with pytest.raises(FirsthandError, match=r"^head-depth of Software camera 0 fell silent while its other streams go on"), \
            driver(Fed(rs, [("depth", 20, 0), ("color", 10**6, 0), ("accel", 10**6, 0), ("gyro", 10**6, 0)]), timeout_s=0.4) as one:
        some(one, 10**6)
    with pytest.raises(FirsthandError, match=r"^Software camera 0 has delivered nothing for 0\.4 s; check its cable"), \
            driver(Fed(rs, [(s, 20, 0) for s in STREAMS]), timeout_s=0.4) as one:
        some(one, 10**6)


def test_a_clock_of_the_host_is_called_so(rs: Any) -> None:
    with driver(Fed(rs, domain="system_time")) as one:
        assert all(spec.extra["stamps"] == "arrival" and spec.wrap_ns is None for spec in one.streams if spec.name in STREAMS.values())
        assert all(s.device_ns == s.host_ns for s in some(one))
    with driver(Fed(rs, domain="global_time")) as one:
        assert one.streams[0].extra["timestamp_domain"] == "global_time" and "stamps" not in one.streams[0].extra


def test_frames_of_another_clock_are_left_out(rs: Any) -> None:
    fed = Fed(rs)
    with driver(fed) as one:
        some(one, 20)
        fed.bodies[0]._unit = replace(fed.unit, domain="system_time")
        while not one.rejected:
            one.read(0.1)
    assert set(one.rejected) == {"stamped by system_time, and the stream by hardware_clock"}


def test_the_cameras_own_jpegs_pass_as_they_are(rs: Any) -> None:
    fed = Fed(rs)
    with driver(fed, asked=Asked(Pictures(format="mjpeg"))) as one:
        assert one.streams[0].encoding == "jpeg"
        jpegs = [s for s in some(one, 60) if s.stream == "head"]
    assert jpegs and all(s.data == fed.unit.scene.jpeg(s.sequence) for s in jpegs)


@pytest.mark.parametrize(("options", "words"), [
    ({"color": {"size_px": [1920, 1080]}}, r"has no colour of 1920 x 1080, bgr8; it has 96 x 64 bgr8 at 15 Hz; 96 x 64 mjpeg at 15 Hz$"),
    ({"depth": {"fps": 90}}, r"has no depth of 90 Hz, z16; it has 96 x 64 z16 at 15 Hz$"),
    ({"infrared": [1]}, r"has no infrared 1 of .*; it has no such sensor"),
    ({"gyro_hz": 400}, r"has no gyro of 400 Hz; it has 100 Hz$"),
    ({"color": False, "depth": False, "imu": False}, r"^nothing is wanted of the RealSense camera"),
    ({"controls": {"depth": {"visual_preset": 3}}}, r"^no control of Software camera's depth called 'visual_preset'.*depth_units"),
    ({"controls": {"lens": {}}}, r"^no part of a RealSense camera called 'lens' .there are: color, depth, imu"),
    ({"controls": {"imu": {}}, "imu": False}, r"controls are given for imu, which is not recorded"),
])
def test_what_the_camera_does_not_have_is_named(rs: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(FirsthandError, match=words), open_realsense(software=SMALL, **options)[0]:
        pass


@pytest.mark.parametrize(("options", "words"), [
    ({"color": {"size": [640, 480]}}, "no option of color called 'size'; did you mean 'size_px'"),
    ({"color": {"format": "h264"}}, "no format of color called 'h264'"),
    ({"depth": {"size_px": [640]}}, r"depth: size_px is \[640\]; write width and height"),
    ({"depth": "848x480"}, "depth is '848x480'; write a table"),
    ({"depth": {"fps": "30"}}, "depth: fps is '30'; write a number"),
    ({"timeout_s": 0}, "and a time above 0"),
    ({"software": {"seeds": 1}}, "no option of a software camera called 'seeds'; did you mean 'seed'"),
    ({"software": {"domain": "sundial"}}, "no clock of a software camera called 'sundial'"),
    ({"software": {"fps": 0}}, "rates above 0"),
])
def test_options_that_cannot_be_are_refused_before_anything_is_opened(options: dict[str, Any], words: str) -> None:
    with pytest.raises(FirsthandError, match=words):
        open_realsense(**options)


def test_what_the_sdk_refuses_becomes_a_sentence() -> None:
    error = RuntimeError("xioctl(VIDIOC_S_FMT) failed, errno=16 Last Error: Device or resource busy\n in sensor.cpp:12")
    assert str(refusal("D435I 12 cannot be started", error)) == (
        "D435I 12 cannot be started (xioctl(VIDIOC_S_FMT) failed, errno=16 Last Error: Device or resource busy): another program has it "
        "open: close that one")


@pytest.mark.parametrize(("model", "coeffs"), [
    ("none", [0.0] * 5), ("brown_conrady", [-0.056, 0.065, 0.0006, -0.0004, -0.021]),
    ("inverse_brown_conrady", [-0.056, 0.065, 0.0006, -0.0004, -0.021]),
    ("modified_brown_conrady", [0.15, -0.48, 0.001, 0.0005, 0.43]), ("kannala_brandt4", [0.01, -0.003, 0.002, -0.0005, 0.0]),
])
def test_pixels_are_where_the_sdk_puts_them(rs: Any, model: str, coeffs: list[float]) -> None:
    optics = rs.intrinsics()
    optics.width, optics.height, optics.fx, optics.fy, optics.ppx, optics.ppy = 1280, 720, 910.0, 911.0, 640.5, 361.2
    optics.model, optics.coeffs = getattr(rs.distortion, model), coeffs
    found = camera(rs, optics, np.eye(4))
    assert found is not None
    rng = np.random.default_rng(1)
    points = np.append(rng.uniform(-0.66, 0.66, (200, 1)), rng.uniform(-0.37, 0.37, (200, 1)), 1)
    theirs = np.array([rs.rs2_project_point_to_pixel(optics, [float(x), float(y), 1.0]) for x, y in points])
    ours = found.project(np.append(points, np.ones((200, 1)), 1))
    assert np.abs(ours - theirs).max() < (0.1 if "inverse" in model or "modified" in model else 1e-3)


def test_a_lens_that_no_model_comes_near_is_left_out(rs: Any) -> None:
    optics = rs.intrinsics()
    optics.width, optics.height, optics.fx, optics.fy, optics.ppx, optics.ppy = 848, 800, 285.0, 286.0, 424.0, 400.0
    optics.model, optics.coeffs = rs.distortion.ftheta, [0.92, 0.0, 0.0, 0.0, 0.0]
    assert camera(rs, optics, np.eye(4)) is None
    assert camera(rs, rs.intrinsics(), np.eye(4)) is None  # nobody told


def test_mounting_is_the_sdks(rs: Any) -> None:
    a = math.radians(3)
    device = rs.software_device()
    sensor, profiles = device.add_sensor("Stereo Module"), []
    for uid, kind in enumerate((rs.stream.color, rs.stream.depth), 1):
        video = rs.video_stream()
        video.type, video.uid, video.width, video.height, video.fps, video.bpp, video.fmt = kind, uid, 64, 48, 30, 2, rs.format.z16
        profiles.append(sensor.add_video_stream(video))
    told = rs.extrinsics()
    told.rotation, told.translation = [math.cos(a), math.sin(a), 0, -math.sin(a), math.cos(a), 0, 0, 0, 1], [0.015, -0.002, 0.001]
    profiles[1].register_extrinsics_to(profiles[0], told)
    moved = T_rig(rs, profiles[1], [sensor]) @ [0.1, 0.2, 0.5, 1]
    np.testing.assert_allclose(moved[:3], rs.rs2_transform_point_to_point(told, [0.1, 0.2, 0.5]), atol=1e-6)
    optics = Body(rs, Unit(Scene(**SMALL)))._optics()
    near, far = (camera(rs, optics, T) for T in (np.eye(4), T_rig(rs, profiles[1], [sensor])))
    assert near and far and same_view(near, near) and not same_view(near, far)


def test_the_example_rig_records_without_hardware(rs: Any) -> None:
    rig = load_rig(ROOT / "examples" / "rigs" / "realsense.toml")
    (device,) = rig.devices
    (one,) = open_realsense(**device.options)
    assert isinstance(one, RealsenseDriver) and isinstance(one._software, Software)
    assert set(device.encode) <= {"head", "head-depth"}


def test_a_camera_without_its_software_is_listed_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "2-1"
    (folder / "2-1:1.0").mkdir(parents=True)
    for name, text in {"idVendor": "8086", "idProduct": "0b3a", "manufacturer": "Intel(R)", "product": "RealSense(TM) Depth Camera 435i",
                       "speed": "5000", "version": "3.20", "2-1:1.0/bInterfaceClass": "0e"}.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    (found,) = devices._realsense(tmp_path)
    assert "435i" in found.name and found.note == "pip install 'firsthand[realsense]' to record from it"
