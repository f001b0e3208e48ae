"""Optics and mounting of the cameras in a rig."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """Pinhole intrinsics with OpenCV distortion. Camera axes: x right, y down, z forward."""

    K: Floats
    """Intrinsic matrix in pixels, shape (3, 3)."""
    width_px: int
    height_px: int
    distortion: Floats = field(default_factory=lambda: np.zeros(0))
    """OpenCV coefficients (k1 k2 p1 p2 k3 ...), shape (D,); empty for none."""
    T_rig_cam: Floats = field(default_factory=lambda: np.eye(4))
    """Takes camera points to the rig (the device whose pose is tracked), shape (4, 4), metres."""
    source: Literal["factory", "measured", "assumed"] = "measured"
    """``assumed``: from a guessed field of view; metric results carry that doubt on."""

    def __post_init__(self) -> None:
        set_frozen(self, "K", np.float64, (3, 3))
        set_frozen(self, "distortion", np.float64, (None,))
        set_frozen(self, "T_rig_cam", np.float64, (4, 4))

    @classmethod
    def from_hfov(cls, width_px: int, height_px: int, hfov_deg: float) -> "CameraCalibration":
        """A centred pinhole camera with the given horizontal field of view, marked ``assumed``."""
        f = width_px / 2 / np.tan(np.radians(hfov_deg) / 2)
        K = np.array([[f, 0, (width_px - 1) / 2], [0, f, (height_px - 1) / 2], [0, 0, 1]])
        return cls(K, width_px, height_px, source="assumed")

    def write(self, group: Any) -> None:
        """Put this into an open HDF5 group."""
        group.create_dataset("K", data=self.K)
        group.create_dataset("distortion", data=self.distortion)
        group.create_dataset("T_rig_cam", data=self.T_rig_cam)
        group.attrs.update(model="opencv", width_px=self.width_px, height_px=self.height_px, source=self.source)

    @classmethod
    def read(cls, group: Any) -> "CameraCalibration":
        """The calibration an HDF5 group holds."""
        attrs = group.attrs
        return cls(group["K"][()], int(attrs["width_px"]), int(attrs["height_px"]), group["distortion"][()],
                   group["T_rig_cam"][()], str(attrs["source"]))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Every camera's calibration, by stream name."""

    cameras: Mapping[str, CameraCalibration] = field(default_factory=dict)

    def merged(self, other: "Calibration") -> "Calibration":
        """Both together; `other` wins where both know a camera."""
        return Calibration({**self.cameras, **other.cameras})
