"""What a Project Aria recording says of its optics: kept whole beside each camera, and exactly as the camera's calibration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.importers.fisheye import at_size, rotation_of, upright

FULL = {("Aria", "camera-rgb"): (2880, 2880), ("Oatmeal", "camera-rgb"): (4032, 3024)}
"""The size of the sensor's picture that the calibration is for, where pictures are smaller."""
FISHEYE = "FisheyeRadTanThinPrism"


@dataclass(frozen=True, eq=False)
class AriaCalibration:
    """The tag ``calib_json``, by label."""

    device: str
    """``Aria`` is Gen 1, ``Oatmeal`` Gen 2."""
    cameras: Mapping[str, dict[str, Any]]
    imus: Mapping[str, dict[str, Any]]

    def T_device_cam(self, label: str) -> npt.NDArray[np.float64] | None:
        """Takes a camera's points to the device, (4, 4), the picture as it is stored; None where it is not known."""
        told = self.cameras.get(label, {}).get("T_Device_Camera")
        if not told:
            return None
        T = np.eye(4)
        w, xyz = told["UnitQuaternion"]
        T[:3, :3], T[:3, 3] = rotation_of([w, *xyz]), told["Translation"]
        return T

    def camera(self, label: str, width_px: int, height_px: int, turns: int,
               readout_s: float = 0.0) -> tuple[CameraCalibration | None, dict[str, Any]]:
        """A camera whose picture is shown turned by quarter turns clockwise, None where its model or size is none we know; and what to
        keep beside the stream."""
        told, T = self.cameras.get(label), self.T_device_cam(label)
        if told is None or T is None:
            return None, {}
        kept: dict[str, Any] = {"calibration": told, "T_device_cam": T.tolist()}
        params = np.array(told["Projection"]["Params"], np.float64)
        if told["Projection"]["Name"] != FISHEYE or params.shape != (15,):
            return None, kept
        here = at_size(params, FULL.get((self.device, label), (width_px, height_px)), width_px, height_px)
        return None if here is None else upright(here, width_px, height_px, T, turns, readout_s), kept


def read_calibration(device: str, text: str) -> AriaCalibration:
    """The calibration a tag holds; empty where it is none."""
    try:
        document = json.loads(text) if text else {}
        cameras, imus = ({str(told["Label"]): {name: value for name, value in told.items() if name != "SerialNumber"}
                          for told in document.get(kind, [])} for kind in ("CameraCalibrations", "ImuCalibrations"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return AriaCalibration(device, {}, {})
    return AriaCalibration(device, cameras, imus)
