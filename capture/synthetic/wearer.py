"""The synthetic wearer: one take of a task, seen by a head camera, an IMU, a pose tracker and two gloves that can be wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.skeleton import INDEX_TIP, KNUCKLES, SIDES, THUMB_TIP, TIPS, WRIST
from firsthand.capture.stream import StreamSpec
from firsthand.capture.synthetic.ahead import rendered
from firsthand.capture.synthetic.devices import DeviceClock, Link, Timeline, run_device, sample_times_ns
from firsthand.capture.synthetic.driver import Payload, Start, SyntheticDriver, Take
from firsthand.capture.synthetic.head import HeadMotion
from firsthand.capture.synthetic.printed import printed
from firsthand.capture.synthetic.raster import View
from firsthand.capture.synthetic.renderer import Renderer
from firsthand.capture.synthetic.rotation import from_rotation_vector, quat_wxyz
from firsthand.capture.synthetic.second_camera import SECOND, second_camera
from firsthand.capture.synthetic.sensor import DEPTH_UNIT_M, Sensor
from firsthand.capture.synthetic.skin import TONES, Look
from firsthand.capture.synthetic.table import wooden_table
from firsthand.capture.synthetic.task import make_task
from firsthand.capture.synthetic.truth import TrueHand, TrueSegment, TrueStream, Truth
from firsthand.capture.synthetic.worn import GLOVE_HZ, TRACKER_HZ, Worn

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

HFOV_DEG = 75.0
CAMERA, DEPTH, IMU, POSE = "head", "head-depth", "imu", "head-pose"
_SLEEVES: tuple[tuple[int, int, int], ...] = ((90, 60, 40), (60, 70, 120), (80, 90, 60), (150, 150, 145))
_DRIFT_PPM = 50.0
_RATES_HZ = {"glove-left": GLOVE_HZ, "glove-right": GLOVE_HZ, IMU: 200.0, POSE: 100.0, "wrist-left": TRACKER_HZ, "wrist-right": TRACKER_HZ}
_LINKS = {
    CAMERA: Link(4_000_000, 1_000_000), DEPTH: Link(5_000_000, 1_200_000), "glove-left": Link(1_500_000, 700_000, shape=1.0),
    "glove-right": Link(1_300_000, 700_000, shape=1.0), IMU: Link(500_000, 150_000), POSE: Link(1_000_000, 300_000),
    "wrist-left": Link(2_000_000, 400_000), "wrist-right": Link(2_000_000, 400_000),
}  # fmt: skip
_STAMP_JITTER_NS = {CAMERA: 10_000.0, "glove-left": 5_000.0, "glove-right": 5_000.0, IMU: 2_000.0, POSE: 5_000.0,
                    "wrist-left": 5_000.0, "wrist-right": 5_000.0}  # fmt: skip
_BLUR_STEP_PX, _MOST_INSTANTS = 3.0, 12
_ACCEL_NOISE, _ACCEL_BIAS = 0.03, 0.02
_GYRO_NOISE, _GYRO_BIAS = 0.003, 0.002
_POSE_NOISE_M, _POSE_NOISE_RAD = 0.0005, np.radians(0.05)


class Wearer:
    """One take, fixed by its arguments: the same ones give the same bytes.

    `skin` is 0 (lightest) to 4, `sleeve` False for bare arms; None lets the seed choose. `drop_rate` is the share of samples lost
    on each stream, `burst` the length of one longer outage of the right glove. `shutter_s` is how long the camera's shutter is open: what
    moves is blurred. `light` is the share of a bright room's light: pictures are darker and noisier. A `grey`
    camera sees no colours, and one mounted with a `roll_deg` of 180 is upside down. With `glove_faults` of 1 the gloves are as wrong as
    real ones that nobody calibrated; `wrist_trackers` adds one tracker a hand, see `Worn`. `anchors` of `printed.ANCHORS` lie on the table,
    `stereo` adds a second camera, and hands are `hand_scale` times as large as usual.

    With `realtime` samples arrive at the pace of the wall clock, and pictures are rendered before the camera opens. The take starts when
    the host's monotonic clock shows `start_ns`, or at the moment the first driver is entered; with `loop` it is repeated for ever.
    Otherwise samples come as fast as they are read, on a host clock that the seed chose.
    `latency_s` gives streams another fastest delivery than usual, by name.
    """

    def __init__(self, *, seed: int = 0, task: str = "pick-and-place", duration_s: float = 6.0, fps: float = 30, skin: int | None = None,
                 sleeve: bool | None = None, size_px: tuple[int, int] = (640, 480), realtime: bool = False, drop_rate: float = 0.007,
                 burst: int = 0, start_ns: int | None = None, loop: bool = False,
                 latency_s: Mapping[str, float] | None = None, shutter_s: float = 0.0, light: float = 1.0,
                 grey: bool = False, roll_deg: float = 0.0, glove_faults: float = 0.0, wrist_trackers: bool = False,
                 anchors: Sequence[str] = (), stereo: bool = False, hand_scale: float = 1.0) -> None:
        if loop and not realtime:
            raise FirsthandError("a synthetic take is only repeated in real time; set realtime = true, or loop = false")
        for name in latency_s or ():
            if name not in _LINKS:
                raise unknown("stream of the synthetic wearer", name, _LINKS)
        if stereo and realtime:
            raise FirsthandError("the synthetic wearer's second camera cannot paint in real time; set stereo = false, or realtime = false")
        if duration_s < 3:
            raise FirsthandError(f"a synthetic take of {duration_s} s is too short to do anything in; ask for 3 s or more")
        if skin is not None and not 0 <= skin < len(TONES):
            raise FirsthandError(f"skin {skin} is not one of the tones 0 (lightest) to {len(TONES) - 1}")
        if not 0.02 <= light <= 1 or not 0 <= shutter_s * fps <= 1:
            raise FirsthandError(f"a synthetic camera needs a light of 0.02 to 1 (not {light:g}) and a shutter_s of at most a frame "
                                 f"(not {shutter_s:g} s at {fps:g} Hz)")
        self.seed, self.name, self.duration_s, self.fps, self.size_px = seed, task, duration_s, fps, size_px
        self.task = make_task(task, self._rng(1), duration_s)
        if hand_scale != 1:
            self.task = replace(self.task, hands={side: replace(plan, scale=hand_scale) for side, plan in self.task.hands.items()})
        self.anchors, self.hand_scale, self._stereo = tuple(anchors), hand_scale, stereo
        choose = self._rng(2)
        tone, sleeve_bgr = int(choose.integers(len(TONES))), _SLEEVES[int(choose.integers(len(_SLEEVES)))]
        covered = bool(choose.random() < 0.6) if sleeve is None else sleeve
        self.shutter_s, self.light, self.grey, self.roll_deg = shutter_s, light, grey, roll_deg
        self._look = TONES[tone if skin is None else skin], sleeve_bgr if covered else None
        self.head = HeadMotion(float(choose.uniform(0, 6)), self.task.nods, roll_deg)
        uptime_ns = int(choose.integers(3_600_000_000_000, 144_000_000_000_000))  # of the host: one to forty hours
        self.start = Start(start_ns if realtime or start_ns is not None else uptime_ns)
        self._realtime, self._loop_ns = realtime, round(duration_s * 1e9) if loop else None
        self._drop_rate, self._burst = drop_rate, burst
        self._numbers = [name for name in _RATES_HZ if wrist_trackers or not name.startswith("wrist-")]
        self.worn = {side: Worn.put_on(side, self._rng(30 + k), glove_faults) for k, side in enumerate(SIDES)}
        self._links = {name: replace(link, min_latency_ns=round((latency_s or {}).get(name, link.min_latency_ns * 1e-9) * 1e9))
                       for name, link in _LINKS.items()}
        width, height = size_px
        f = width / 2 / np.tan(np.radians(HFOV_DEG) / 2)
        K = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
        self.camera = CameraCalibration(K, width, height, source="factory")

    @property
    def looks(self) -> tuple[Any, ...]:
        """Everything that decides what the camera sees; drops do not."""
        return self.seed, self.name, self.duration_s, self.fps, self.size_px, self.shutter_s, self.light, self.grey, self.roll_deg, \
            self.anchors, self.hand_scale, *self._look

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        """Every stream's samples with their times, delivered or not."""
        lines = {}
        for k, name in enumerate((CAMERA, *self._numbers)):
            rng = self._rng(100 + k)
            switched_on_ns = int(rng.integers(5_000_000_000, 90_000_000_000_000))
            clock = DeviceClock(switched_on_ns, float(rng.uniform(-_DRIFT_PPM, _DRIFT_PPM)), _STAMP_JITTER_NS[name])
            rate = self.fps if name == CAMERA else _RATES_HZ[name]
            t_ns = sample_times_ns(rate, self.duration_s, clock, float(rng.uniform(0, 0.5 / rate)))
            burst = self._burst if name == "glove-right" else 0
            lines[name] = run_device(t_ns, clock, self._links[name], rng, drop_rate=self._drop_rate, burst=burst)
        colour = lines[CAMERA]
        lines[DEPTH] = run_device(colour.t_ns, colour.clock, self._links[DEPTH], self._rng(99), drop_rate=self._drop_rate,
                                  device_ns=colour.device_ns)
        if self._stereo:
            lines[SECOND] = run_device(colour.t_ns, colour.clock, self._links[CAMERA], self._rng(98), drop_rate=self._drop_rate,
                                       device_ns=colour.device_ns)
        return lines

    def seconds(self, stream: str) -> Floats:
        """True times of a stream's samples in seconds from the start of the take, shape (N,)."""
        return np.asarray(self.timelines[stream].t_ns * 1e-9)

    def drivers(self) -> list[SyntheticDriver]:
        """The devices of this take, each on a clock of its own. Fresh ones start at the beginning again."""
        pair = [second_camera(self)] if self._stereo else []
        return [self._camera_driver(), *pair, *(self._numeric_driver(name) for name in self._numbers)]

    def _camera_driver(self) -> SyntheticDriver:
        width, height = self.size_px
        specs = (
            StreamSpec(CAMERA, "encoded", "camera", encoding="jpeg", rate_hz=self.fps, width_px=width, height_px=height),
            StreamSpec(DEPTH, "encoded", "depth", encoding="png", rate_hz=self.fps, width_px=width, height_px=height, about=CAMERA,
                       extra={"depth_unit_m": DEPTH_UNIT_M}),
        )
        lost = {name: self.timelines[name].lost for name in (CAMERA, DEPTH)}

        def take(i: int) -> dict[str, Payload]:
            image, depth = self.frame(i)
            payloads: dict[str, Payload] = {}
            if not lost[CAMERA][i]:
                payloads[CAMERA] = self.sensor.jpeg(i, image)
            if not lost[DEPTH][i]:
                payloads[DEPTH] = self.sensor.depth_png(i, depth)
            return payloads

        def prepare() -> Take:
            if not self._realtime:
                return take
            ahead = rendered(self)
            return lambda i: {CAMERA: ahead.payload(i, 0), DEPTH: ahead.payload(i, 1)}

        return SyntheticDriver(CAMERA, specs, {name: self.timelines[name] for name in (CAMERA, DEPTH)}, prepare, self.start,
                               self.write_truth, calibration=Calibration({CAMERA: self.camera, DEPTH: self.camera}),
                               realtime=self._realtime, loop_ns=self._loop_ns)

    def _numeric_driver(self, name: str) -> SyntheticDriver:
        spec, values = self._imu() if name == IMU else self._pose() if name == POSE else self._worn(name)
        values.setflags(write=False)

        def take(i: int) -> dict[str, Payload]:
            return {name: values[i]}

        return SyntheticDriver(name, (spec,), {name: self.timelines[name]}, lambda: take, self.start, self.write_truth, batch=16,
                               realtime=self._realtime, loop_ns=self._loop_ns)

    def _worn(self, name: str) -> tuple[StreamSpec, Floats]:
        worn = self.worn["left" if name.endswith("left") else "right"]
        made, purpose = (worn.glove, 20) if name.startswith("glove-") else (worn.tracker, 24)
        return made(name, self.task.hands[worn.side], self.seconds(name), self._rng(purpose + (worn.side == "right")))

    def _imu(self) -> tuple[StreamSpec, Floats]:
        rng = self._rng(22)
        ideal = self.head.imu(self.seconds(IMU))
        bias = np.concatenate([rng.normal(0, _ACCEL_BIAS, 3), rng.normal(0, _GYRO_BIAS, 3)])
        noise = rng.standard_normal(ideal.shape) * np.repeat([_ACCEL_NOISE, _GYRO_NOISE], 3)
        spec = StreamSpec(IMU, "numeric", "imu", names=("ax", "ay", "az", "gx", "gy", "gz"), units=("m/s^2",) * 3 + ("rad/s",) * 3,
                          rate_hz=_RATES_HZ[IMU], about=CAMERA)
        return spec, ideal + bias + noise

    def _pose(self) -> tuple[StreamSpec, Floats]:
        rng = self._rng(23)
        T = self.head.T_world_cam(self.seconds(POSE))
        R = T[:, :3, :3] @ from_rotation_vector(rng.normal(0, _POSE_NOISE_RAD, (len(T), 3)))
        place = T[:, :3, 3] + rng.normal(0, _POSE_NOISE_M, (len(T), 3))
        spec = StreamSpec(POSE, "numeric", "pose", names=("x", "y", "z", "qw", "qx", "qy", "qz"), units=("m",) * 3 + ("1",) * 4,
                          rate_hz=_RATES_HZ[POSE], about=CAMERA)
        return spec, np.concatenate([place, quat_wxyz(R)], 1)

    @cached_property
    def renderer(self) -> Renderer:
        """The painter of this take's frames."""
        rng = self._rng(3)
        shape = (self.size_px[1] * 2, self.size_px[0] * 2)
        grain = np.ones(shape, np.float32)
        for sigma, strength in ((8.0, 0.03), (1.0, 0.02)):
            noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
            grain += strength / noise.std() * noise
        choose = self._rng(4)
        other = TONES[int(choose.integers(len(TONES)))], _SLEEVES[int(choose.integers(len(_SLEEVES)))]
        return Renderer(printed(wooden_table(rng), self.anchors), Look(*self._look, grain), Look(*other, grain))

    @cached_property
    def sensor(self) -> Sensor:
        """The noise of this take's camera."""
        return Sensor.make(self.seed, *self.size_px, self.light, self.grey)

    def frame(self, i: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Frame `i` without sensor noise: colour (H, W, 3) BGR, and exact depth (H, W) in metres, infinite past the table."""
        middle_s = self.seconds(CAMERA)[i]
        image, depth = self._instant(middle_s)
        if self.shutter_s == 0:
            return image, depth
        instants = self._instants(middle_s)
        total = np.zeros(image.shape, np.float32)
        for t_s in instants:
            total += self._instant(t_s)[0]
        return np.rint(total / len(instants)).astype(np.uint8), depth

    def _instant(self, t_s: float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """The picture of an instant, and its depth."""
        at = np.array([t_s])
        view = View(self.camera.K, self.head.T_world_cam(at)[0], *self.size_px)
        hands = {side: plan.points_m(at)[0] for side, plan in self.task.hands.items()}
        others = [(other.plan.side, other.points_m(at)[0]) for other in self.task.others]
        return self.renderer.render(view, self.task.solids(t_s), hands, others)

    def _instants(self, middle_s: float) -> Floats:
        """Times while the shutter is open, (K,): enough of them that nothing moves by more than about 3 px from one to the next."""
        ends = middle_s + self.shutter_s * np.array([-0.5, 0.5])
        T = self.head.T_world_cam(ends)
        moved = max(float(np.abs(np.diff(self._in_picture(plan.points_m(ends), T)[1], axis=0)).max()) for plan in self.task.hands.values())
        count = int(np.clip(np.ceil(moved / _BLUR_STEP_PX), 1, _MOST_INSTANTS))
        return middle_s + self.shutter_s * ((np.arange(count) + 0.5) / count - 0.5)

    def _in_picture(self, points_m: Floats, T_world_cam: Floats) -> tuple[Doubles, Doubles]:
        """World joints (N, 21, 3) in the camera, (N, 21, 3), and in the picture, (N, 21, 2)."""
        in_cam = np.einsum("nji,nkj->nki", T_world_cam[:, :3, :3], points_m - T_world_cam[:, None, :3, 3]).astype(np.float64)
        K = self.camera.K
        return in_cam, in_cam[..., :2] / in_cam[..., 2:] * K[[0, 1], [0, 1]] + K[:2, 2]

    def truth(self, first: int = 0, count: int = 1) -> Truth:
        """What really happened in `count` repetitions from number `first` on; a take that is not repeated has the one.

        In real time without a given start only after a driver was entered: before that the take has none.
        """
        start_ns, turn_ns = self.start.ns(), self._loop_ns or 0
        later_ns = turn_ns * (first + np.arange(count))[:, None]
        t_s, frames = self.seconds(CAMERA), len(self.timelines[CAMERA].t_ns)
        streams = {}
        for name, line in self.timelines.items():
            clock, n = line.clock, len(line.t_ns)
            dropped = (np.flatnonzero(line.lost) + n * (first + np.arange(count))[:, None]).ravel()
            streams[name] = TrueStream(first * n + np.arange(n * count), (start_ns + line.t_ns + later_ns).ravel(), dropped,
                                       start_ns - clock.reference_ns, clock.drift_ppm, clock.reference_ns, line.link.min_latency_ns)
        T_world_cam = np.tile(np.asarray(self.head.T_world_cam(t_s), np.float64), (count, 1, 1))
        hands = {side: self._true_hand(np.tile(np.asarray(plan.points_m(t_s), np.float64), (count, 1, 1)), T_world_cam)
                 for side, plan in self.task.hands.items()}
        segments = []
        for turn in range(first, first + count):
            for span in self.task.spans:
                a, b = (np.searchsorted(t_s, (span.start_s, span.stop_s)) + turn * frames).tolist()
                if a < b:
                    segments.append(TrueSegment(a, b, span.label, span.text))
        return Truth(self.name, self.task.instruction, self.seed, (start_ns + self.timelines[CAMERA].t_ns + later_ns).ravel(), T_world_cam,
                     hands, streams, tuple(segments), first * frames)

    def truth_between(self, from_ns: int, to_ns: int) -> Truth:
        """The truth of every repetition that a recording from one session time to another can hold."""
        if self._loop_ns is None:
            return self.truth()
        first, last = ((t_ns - self.start.ns()) // self._loop_ns for t_ns in (from_ns, to_ns))
        return self.truth(max(first, 0), max(last - max(first, 0) + 1, 1))

    def _true_hand(self, points_m: Doubles, T_world_cam: Doubles) -> TrueHand:
        in_cam, px = self._in_picture(points_m, T_world_cam)
        shown = px[:, [WRIST, *KNUCKLES, *TIPS]]
        inside = (shown >= -0.5) & (shown <= np.array(self.size_px) - 0.5)
        visible = np.asarray(inside.all((1, 2)) & (in_cam[..., 2] > 0).all(1), np.bool_)
        aperture = np.linalg.norm(points_m[:, THUMB_TIP] - points_m[:, INDEX_TIP], axis=1)
        return TrueHand(points_m, px, visible, aperture)

    def write_truth(self, path: Path) -> None:
        """Write ``truth.h5``, the same for every driver of the take."""
        self.truth().write(path)
