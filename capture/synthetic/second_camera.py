"""A second head camera beside the first, exposed at the same instants: a stereo pair."""

from typing import TYPE_CHECKING

import numpy as np

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.stream import StreamSpec
from firsthand.capture.synthetic.driver import Payload, SyntheticDriver
from firsthand.capture.synthetic.raster import View
from firsthand.capture.synthetic.rotation import about
from firsthand.capture.synthetic.sensor import Sensor

if TYPE_CHECKING:
    from firsthand.capture.synthetic.wearer import Wearer

SECOND = "head-2"
BASELINE_M, TOE_IN_DEG = 0.075, 4.0
T_HEAD_SECOND = np.eye(4)
T_HEAD_SECOND[0, 3] = BASELINE_M
T_HEAD_SECOND[:3, :3] = about(1, np.radians(-TOE_IN_DEG))[0]
"""To the right of the first, turned a little towards what both look at."""


def second_camera(wearer: "Wearer") -> SyntheticDriver:
    """The driver of stream `SECOND`."""
    width, height = wearer.size_px
    line = wearer.timelines[SECOND]
    sensor = Sensor.make(wearer.seed + 1_000_003, width, height, wearer.light)
    optics = CameraCalibration(wearer.camera.K, width, height, T_rig_cam=T_HEAD_SECOND, source="factory")

    def take(i: int) -> dict[str, Payload]:
        t_s = wearer.seconds(SECOND)[i : i + 1]
        view = View(wearer.camera.K, wearer.head.T_world_cam(t_s)[0] @ T_HEAD_SECOND, width, height)
        hands = {side: plan.points_m(t_s)[0] for side, plan in wearer.task.hands.items()}
        others = [(other.plan.side, other.points_m(t_s)[0]) for other in wearer.task.others]
        return {SECOND: sensor.jpeg(i, wearer.renderer.render(view, wearer.task.solids(float(t_s[0])), hands, others)[0])}

    spec = StreamSpec(SECOND, "encoded", "camera", encoding="jpeg", rate_hz=wearer.fps, width_px=width, height_px=height)
    return SyntheticDriver(SECOND, (spec,), {SECOND: line}, lambda: take, wearer.start, wearer.write_truth,
                           calibration=Calibration({SECOND: optics}))
