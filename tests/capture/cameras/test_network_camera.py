"""Cameras over the network: MJPEG over HTTP and TCP, H.264 over RTSP, all over loopback; and pictures that FFmpeg makes."""

import importlib.util
import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.cameras.av_feed import AvFeed
from firsthand.capture.cameras.camera_driver import CameraDriver
from firsthand.capture.cameras.lens_file import read_lens
from firsthand.capture.codecs.annex_b import parameter_sets
from firsthand.capture.driver import DRIVERS
from firsthand.capture.drivers.uvc import open_uvc
from firsthand.capture.emulator import EMULATORS, Emulation, emulate
from firsthand.capture.emulators import mjpeg_camera
from firsthand.capture.emulators.damage import damaged
from firsthand.capture.errors import FirsthandError
from firsthand.capture.pattern.barcode import read_barcode
from firsthand.capture.plugins import find
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.rig import load_rig
from firsthand.capture.stream import Sample
from firsthand.capture.wire_formats.jpeg import JpegStream, jpeg_size
from firsthand.capture.wire_formats.multipart import PartStream, stamp_ns

_where = importlib.util.spec_from_file_location("rtsp_server", Path(__file__).with_name("rtsp_server.py"))
assert _where and _where.loader
rtsp = importlib.util.module_from_spec(_where)
_where.loader.exec_module(rtsp)


SMALL: dict[str, Any] = {"size_px": (160, 120), "painted_hz": 5}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def camera(**options: Any) -> CameraDriver:
    (driver,) = open_uvc(**{"timeout_s": 1.0, **options})
    assert isinstance(driver, CameraDriver)
    return driver


def read(driver: CameraDriver, seconds: float) -> list[Sample]:
    samples, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        samples += driver.read(0.05) or []
    return samples


def taken(driver: CameraDriver, path: Path, seconds: float) -> Recording:
    end = threading.Event()
    threading.Timer(seconds, end.set).start()
    record([driver], path, stop=end)
    return Recording(path)


@contextmanager
def served(parts: Callable[[], Iterator[bytes]], *, kind: str = "multipart/x-mixed-replace; boundary=--edge", status: int = 200,
           hz: float = 60, login: str = "") -> Iterator[str]:
    """An HTTP camera that sends `parts`, each as it is; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if login and self.headers.get("Authorization") != login:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            try:
                for part in parts():
                    self.wfile.write(part)
                    time.sleep(1 / hz)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def part(jpeg: bytes, *headers: str, length: bool = True) -> bytes:
    lines = ["Content-Type: image/jpeg", *([f"Content-Length: {len(jpeg)}"] if length else []), *headers]
    return b"--edge\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + jpeg + b"\r\n"


@contextmanager
def emulated(name: str, to: str, seed: int = 4) -> Iterator[None]:
    stop = threading.Event()
    small = partial(getattr(mjpeg_camera, EMULATORS[name].partition(":")[2]), **SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firsthand.capture.emulator.find", lambda *_: small)
        thread = threading.Thread(target=emulate, args=(name, to, Emulation(seed=seed)), kwargs={"stop": stop}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def entered(driver: CameraDriver) -> CameraDriver:
    """Once its sender is there, which may have to paint its pictures first."""
    for _ in range(200):
        try:
            return driver.__enter__()
        except FirsthandError:
            time.sleep(0.1)
    raise AssertionError("it never came")


@pytest.mark.parametrize(("name", "outlet", "scheme"), [("mjpeg-camera", "http-serve", "http"), ("mjpeg-camera-plain", "tcp-serve", "tcp")])
def test_what_the_emulated_camera_sends_is_recorded_byte_for_byte(tmp_path: Path, name: str, outlet: str, scheme: str) -> None:
    port = free_port()
    with emulated(name, f"{outlet}://127.0.0.1:{port}"):
        entered(driver := camera(url=f"{scheme}://127.0.0.1:{port}", hfov_deg=70, fps=30)).__exit__(None, None, None)
        with taken(driver, tmp_path / "recording.h5", 1.5) as recording:
            head = recording["head"]
            sent = {jpeg: us for _, us, jpeg in itertools.islice(mjpeg_camera._pictures(Emulation(seed=4), **SMALL), 400)}
            stamps = [sent[head.payload(i)] for i in range(len(head))]
            assert len(head) > 30 and not driver.rejected and (np.diff(head.sequence) == 1).all()
            assert len(set(np.round(np.diff(stamps) / 33_333).tolist())) == 1, "none is missing"
            if scheme == "http":
                assert head.device_ns.tolist() == [1000 * us for us in stamps] and head.spec.clock == "device"
            else:
                assert head.spec.extra["stamps"] == "arrival" and np.array_equal(head.device_ns, head.host_ns)
            assert recording.calibration.cameras["head"].source == "assumed"
            assert next(head.images(0, 1)).shape == (120, 160, 3)


def test_broken_pictures_are_counted_and_leave_gaps(jpegs: list[bytes]) -> None:
    def parts() -> Iterator[bytes]:
        for n in range(200):
            jpeg = jpegs[n]
            if n % 10 == 3:
                jpeg = jpeg[:-200]
            elif n % 10 == 5:
                jpeg = jpeg[: len(jpeg) // 2] + jpegs[n + 1]
            elif n % 10 == 7:
                yield b"--edge\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno\r\n"
                continue
            yield part(jpeg)

    with served(parts) as place, camera(url=f"http://{place}/video") as driver:
        samples = read(driver, 1.0)
    assert all(sample.data == jpegs[sample.sequence] for sample in samples) and len(samples) > 20
    assert {sample.sequence % 10 for sample in samples} == {0, 1, 2, 4, 6, 8, 9}
    assert set(driver.rejected) == {"it is cut off", "it is two pictures in one", "it is 'text/plain', not image/jpeg"}
    assert min(driver.rejected.values()) > 2


def test_a_server_without_lengths_or_stamps_and_one_that_wants_a_login(jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def bare() -> Iterator[bytes]:  # the boundary comes only with the next picture, as from an ESP32
        return (b"\r\n--edge\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg for jpeg in jpegs)

    monkeypatch.setenv("CAMERA_PASSWORD", "s3c/ret")
    with served(bare, login="Basic bWU6czNjL3JldA==", hz=5) as place:
        with camera(url=f"http://me:$CAMERA_PASSWORD@{place}/video") as driver:
            began = time.monotonic()
            samples = read(driver, 1.0)
            assert 4 <= len(samples) <= 6 and time.monotonic() - began < 1.5
            assert samples[0].data == jpegs[0] and samples[0].device_ns == samples[0].host_ns
            assert driver.streams[0].extra == {"url": f"http://{place}/video", "stamps": "arrival"}
        with pytest.raises(FirsthandError, match=r"answers 401 .*\$CAMERA_PASSWORD"), camera(url=f"http://me:wrong@{place}/"):
            pass
    with pytest.raises(FirsthandError, match=r"url names \$NOT_SET, which is not set"):
        camera(url="http://me:$NOT_SET@10.0.0.1/")


@pytest.mark.parametrize(("how", "sentence"), [
    ({"kind": "text/html"}, r"sends text/html, not a stream of pictures .*IP Webcam is at /video"),
    ({"kind": "image/jpeg"}, r"sends image/jpeg, not a stream"),
    ({"status": 404}, r"answers 404 .*mjpg-streamer at /\?action=stream"),
    ({"status": 503}, r"answers 503 .*close the others"),
])
def test_what_is_no_camera_is_told(how: dict[str, Any], sentence: str) -> None:
    with served(lambda: iter([b"<html>"]), **how) as place, pytest.raises(FirsthandError, match=sentence), camera(url=f"http://{place}/"):
        pass


def test_a_camera_that_stalls_goes_or_never_was_is_told(jpegs: list[bytes]) -> None:
    with pytest.raises(FirsthandError, match=r"cannot connect to http://127\.0\.0\.1:1/: Connection refused; check that the camera runs"), \
            camera(url="http://127.0.0.1:1/"):
        pass
    halt = threading.Event()

    def parts() -> Iterator[bytes]:
        yield from map(part, jpegs[:5])
        halt.wait(5)

    with served(parts) as place:
        with camera(url=f"http://{place}/", timeout_s=0.5) as driver, \
                pytest.raises(FirsthandError, match=r"(no picture came from|has sent nothing for) .*0\.5 s"):
            read(driver, 3)
        halt.set()
        with camera(url=f"http://{place}/") as driver, pytest.raises(FirsthandError, match=r"was closed by the other end"):
            read(driver, 3)
        with camera(url=f"http://{place}/") as driver:  # and again: it counts from 0
            assert driver.read(0.5)[0].sequence == 0  # type: ignore[index]


@pytest.mark.parametrize(("options", "sentence"), [
    ({"url": "ftp://camera/"}, "write http://, https://, rtsp:// or tcp://"), ({"url": "tcp://10.0.0.1"}, "tcp needs a port"),
    ({"url": "http://a/", "camera": "b"}, "both given"), ({"url": "http://a/", "size_px": [1, 2]}, "in its own app"),
    ({"format": "mpeg"}, "it is one of auto, mjpeg"), ({"fps": 0}, "above 0"), ({"size_px": [640]}, "write width and height"),
    ({"rotation_deg": 45}, "0, 90, 180 or 270"), ({"calibration": "/none.toml"}, "cannot read the calibration file"),
    ({"hfov_deg": 180}, "less than 179"), ({"controls": {"gain": "high"}}, "write a number"),
    ({"url": "http://me:secret@/"}, r"url is 'http:///'"),
])
def test_options_that_cannot_be_are_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FirsthandError, match=sentence):
        camera(**options)


def test_h264_over_rtsp_is_kept_with_the_cameras_clock(h264: list[bytes], tmp_path: Path) -> None:
    with rtsp.RtspServer(h264) as server:
        driver = camera(url=f"rtsp://127.0.0.1:{server.port}/stream", timeout_s=2.0)
        with taken(driver, tmp_path / "recording.h5", 2.5) as recording:
            head = recording["head"]
            assert head.spec.encoding == "h264" and (head.spec.width_px, head.spec.height_px) == (320, 240) and head.spec.extradata
            shown = [read_barcode(picture) for picture in head.images()]
            assert len(shown) > 30 and (np.diff(shown) == 1).all()
            keys = np.flatnonzero(head.rows["flags"] & 1)
            assert len(keys) > 1 and all(parameter_sets(head.row_payload(row), "h264") for row in keys.tolist()), "each can be a first"
            assert np.abs(head.device_ns - head.device_ns[0] - np.arange(len(head)) * 1e9 / 30).max() < 12_000  # ticks of 1/90000 s
    with pytest.raises(FirsthandError, match=r"cannot open rtsp://127\.0\.0\.1:\d+/stream: .*; check that the camera runs"), driver:
        pass


def test_raw_pictures_of_ffmpegs_devices_are_pictures() -> None:
    feed = AvFeed("testsrc2=size=64x48:rate=30,realtime", "lavfi", format="lavfi", timeout_s=1.0)
    with CameraDriver("side", feed, timeout_s=1.0, lens=lambda w, h: None) as driver:
        samples = read(driver, 0.5)
        assert driver.streams[0].encoding == "raw" and driver.streams[0].rate_hz == 30
    assert len(samples) > 8 and all(sample.data.shape == (48, 64, 3) for sample in samples)  # type: ignore[union-attr]
    assert np.diff([sample.device_ns for sample in samples]).tolist() == pytest.approx([1e9 / 30] * (len(samples) - 1), abs=2)


def test_parts_come_out_however_the_network_cuts_them(jpegs: list[bytes]) -> None:
    stream = b"HTTP preamble" + b"".join(part(jpeg, f"X-Timestamp: {n}.000125", length=bool(n % 3)) for n, jpeg in enumerate(jpegs[:9]))
    for step in (5, 97, 1000, len(stream)):
        cutter, refused = PartStream("edge", refused := Counter[str]()), refused
        parts = [part for at in range(0, len(stream), step) for part in cutter.add(stream[at : at + step])]
        assert [p.body for p in parts] == jpegs[:9] or len(parts) == 8, "the last without a length may wait for the next boundary"
        assert [stamp_ns(p.headers) for p in parts[1:3]] == [1_000_125_000, 2_000_125_000] and not refused
        plain = JpegStream(Counter())
        assert [j for at in range(0, len(stream), step) for j in plain.add(b"".join(jpegs[:9])[at : at + step])][:8] == jpegs[:8]
    wrong = b"--edge\r\nContent-Length: 10\r\n\r\n" + jpegs[0] + b"\r\n" + part(jpegs[1])
    assert [p.body for p in PartStream("edge", refused).add(wrong)] == [jpegs[1]] and refused == {"its Content-Length is wrong": 1}
    long = b"--edge\r\nContent-Length: 9000000\r\n\r\n" + jpegs[0] + b"\r\n" + part(jpegs[1])
    assert [p.body for p in PartStream("edge", refused).add(long)] == [jpegs[1]], "nor does one that is too long swallow what follows"
    assert [stamp_ns({"x-timestamp": text}) for text in ("", "soon", "nan", "-1", "1e99", "0", "12.5")] == [None] * 6 + [12_500_000_000]


def test_no_damaged_stream_breaks_a_reader_or_passes_for_a_picture(jpegs: list[bytes]) -> None:
    rng, small = Random(3), [jpeg[:3000] + b"\xff\xd9" for jpeg in jpegs[:4]]
    sent: Sequence[bytes] = [part(jpeg) for jpeg in small]
    parts, plain = PartStream("edge", Counter()), JpegStream(Counter())
    for _ in range(3000):
        message = damaged(rng, sent)
        for found in parts.add(message):
            size = jpeg_size(found.body)
            assert isinstance(size, str) or (size[0] > 0 and size[1] > 0)
        for picture in plain.add(damaged(rng, small)):
            jpeg_size(picture)
        assert len(parts._rest) < 33 << 20
    for _ in range(20_000):
        jpeg_size(damaged(rng, small))
    assert jpeg_size(small[0]) == (320, 240)


@pytest.mark.parametrize("name", ["webcam", "emulated-camera"])
def test_an_example_rig_opens_as_it_is(name: str) -> None:
    (device,) = load_rig(Path(__file__).parents[3] / "examples" / "rigs" / f"{name}.toml").devices
    (driver,) = find("drivers", DRIVERS, device.driver)(**device.options)
    assert driver.name == "head"


def test_optics_are_read_from_what_is_written_elsewhere(tmp_path: Path) -> None:
    K, D = np.array([[500.0, 0, 319.5], [0, 501.0, 239.5], [0, 0, 1]]), np.array([[0.1, -0.2, 0.001, 0.002, 0.05]])
    storage = cv2.FileStorage(str(tmp_path / "opencv.yml"), cv2.FILE_STORAGE_WRITE)
    for key, value in (("image_width", 640), ("image_height", 480), ("camera_matrix", K), ("distortion_coefficients", D)):
        storage.write(key, value)
    storage.release()
    (tmp_path / "ros.yaml").write_text(
        "image_width: 640\nimage_height: 480\ncamera_name: head\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
        "  data: [500, 0, 319.5, 0, 501.0, 239.5, 0, 0, 1]\ndistortion_model: plumb_bob\ndistortion_coefficients:\n  rows: 1\n  cols: 5\n"
        "  data: [0.1, -0.2, 0.001, 0.002, 0.05]\n")
    (tmp_path / "own.json").write_text(json.dumps({"width_px": 640, "height_px": 480, "K": K.tolist(), "distortion": D[0].tolist()}))
    for name in ("opencv.yml", "ros.yaml", "own.json"):
        lens = read_lens(tmp_path / name)
        assert np.array_equal(lens.K, K) and np.array_equal(lens.distortion, D[0]) and (lens.width_px, lens.height_px) == (640, 480)
    fisheye = (tmp_path / "ros.yaml").read_text().replace("plumb_bob", "equidistant").replace(", 0.05]", "]").replace("cols: 5", "cols: 4")
    (tmp_path / "fisheye.yaml").write_text(fisheye)
    assert read_lens(tmp_path / "fisheye.yaml").model == "kannala-brandt"
    for text, sentence in (("{", "is no calibration file"), ('{"width_px": 1}', "does not say height_px or image_height, K or camera"),
                           ('{"width_px": 1, "height_px": 1, "K": [1]}', "is no calibration file"),
                           ('{"width_px": 1, "height_px": 1, "K": [[0,0,0],[0,0,0],[0,0,0]]}', "focal lengths"),
                           ('{"width_px": 1, "height_px": 1, "K": [], "model": "onion"}', "model 'onion'")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(FirsthandError, match=sentence):
            read_lens(tmp_path / "bad.json")
    (tmp_path / "bad.yaml").write_text("a: [b")
    with pytest.raises(FirsthandError, match="neither TOML, JSON nor"):
        read_lens(tmp_path / "bad.yaml")


def test_optics_of_another_size_are_refused(tmp_path: Path, jpegs: list[bytes]) -> None:
    (tmp_path / "lens.toml").write_text("width_px = 640\nheight_px = 480\nK = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1]]\n")
    with served(lambda: map(part, jpegs)) as place, pytest.raises(FirsthandError, match=r"of 640x480, and the camera sends 320x240"), \
            camera(url=f"http://{place}/", calibration=str(tmp_path / "lens.toml")):
        pass
