"""The synthetic wearer's printed anchors, second camera and other hands."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.synthetic.printed import ANCHORS
from firsthand.capture.synthetic.second_camera import SECOND, T_HEAD_SECOND
from firsthand.capture.synthetic.wearer import Wearer


def test_printed_tags_are_where_the_truth_has_them() -> None:
    wearer = Wearer(seed=1, duration_s=3, fps=10, anchors=["tag-left", "tag-right"])
    picture, T = wearer.frame(0)[0], np.linalg.inv(wearer.head.T_world_cam(wearer.seconds("head")[:1])[0])
    tags = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11))
    corners, ids, _ = tags.detectMarkers(picture)
    found = dict(zip(ids.ravel().tolist(), corners, strict=True))
    assert set(found) >= {ANCHORS["tag-left"][0].id}
    for anchor, (x, y) in (ANCHORS[name] for name in ("tag-left", "tag-right")):
        if anchor.id in found:
            s = anchor.size_m
            world = np.array([(x, y, 0), (x + s, y, 0), (x + s, y - s, 0), (x, y - s, 0)])
            wanted = wearer.camera.project(world @ T[:3, :3].T + T[:3, 3])
            assert np.abs(found[anchor.id][0] - wanted).max() < 2.5


def test_the_second_camera_sees_the_same_instants_from_beside(tmp_path: Path) -> None:
    wearer = Wearer(seed=2, duration_s=3, fps=4, stereo=True, drop_rate=0)
    record([driver for driver in wearer.drivers() if driver.name.startswith("head")], tmp_path / "recording.h5")
    with Recording(tmp_path / "recording.h5") as recording:
        first, second = recording["head"], recording[SECOND]
        assert len(first) == len(second) and recording.camera() is first
        np.testing.assert_array_equal(first.device_ns, second.device_ns)
        np.testing.assert_array_equal(recording.calibration.cameras[SECOND].T_rig_cam, T_HEAD_SECOND)
        a, b = (cv2.cvtColor(stream.image(0), cv2.COLOR_BGR2GRAY) for stream in (first, second))
        corners = cv2.goodFeaturesToTrack(a, 200, 0.02, 8)
        moved, ok, _ = cv2.calcOpticalFlowPyrLK(a, b, corners, None)  # type: ignore[call-overload]
        shift = np.median((moved - corners)[ok.ravel() == 1, 0], axis=0)
        assert shift[0] < -5 and abs(shift[1]) < 15  # to the left: it is on the right


def test_larger_hands_are_larger_in_every_bone() -> None:
    usual, large = (Wearer(seed=1, duration_s=3, hand_scale=scale).task.hands["right"] for scale in (1.0, 1.1))
    t_s = np.array([0.5, 1.5])
    np.testing.assert_allclose(large.local_m(t_s), usual.local_m(t_s) * 1.1)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FirsthandError, match="anchor of the synthetic wearer called 'matt'"):
        _ = Wearer(anchors=["matt"]).renderer
    with pytest.raises(FirsthandError, match="second camera cannot paint in real time"):
        Wearer(stereo=True, realtime=True)
