"""Optics and mounting of the cameras in a rig."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.lens import LENSES, Model, project, unproject

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """A camera's lens and mounting. Camera axes: x right, y down, z forward; the centre of the first pixel is (0, 0)."""

    K: Floats
    """Intrinsic matrix in pixels, shape (3, 3)."""
    width_px: int
    height_px: int
    distortion: Floats = field(default_factory=lambda: np.zeros(0))
    """Coefficients of the `model`, shape (D,); empty for none."""
    T_rig_cam: Floats = field(default_factory=lambda: np.eye(4))
    """Takes camera points to the rig (the device whose pose is tracked), shape (4, 4), metres."""
    source: Literal["factory", "measured", "assumed"] = "measured"
    """``assumed``: from a guessed field of view; metric results carry that doubt on."""
    model: Model = "opencv"
    """``opencv`` (k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4, as many as there are), ``kannala-brandt`` (OpenCV's fisheye: k1 to k4), or
    ``fisheye624`` (Project Aria: k0 to k5, p0, p1, s0 to s3)."""
    rolling_s_px: Floats = field(default_factory=lambda: np.zeros(2))
    """How much later a pixel is exposed for each pixel to the right and down, shape (2,), s; a frame's time is that of its middle.
    0 for a global shutter, and where nobody knows."""

    def __post_init__(self) -> None:
        set_frozen(self, "K", np.float64, (3, 3))
        set_frozen(self, "distortion", np.float64, (None,))
        set_frozen(self, "T_rig_cam", np.float64, (4, 4))
        set_frozen(self, "rolling_s_px", np.float64, (2,))
        if self.model not in LENSES or len(self.distortion) not in LENSES[self.model].sizes:
            raise FirsthandError(f"a camera of the model {self.model!r} with {len(self.distortion)} distortion coefficients is unknown; "
                                 f"there are {', '.join(f'{name} with up to {one.sizes[-1]}' for name, one in LENSES.items())}")

    def project(self, points_m: Floats) -> Floats:
        """Points (..., 3) in the camera to pixels (..., 2); NaN where the lens has no picture of them."""
        return project(self.model, self.K, self.distortion, points_m)

    def unproject(self, points_px: Floats) -> Floats:
        """Pixels (..., 2) to unit directions (..., 3) in the camera, exactly; NaN where the lens sends nothing there."""
        return unproject(self.model, self.K, self.distortion, points_px)

    def exposed_s(self, points_px: Floats) -> Floats:
        """How much later than the frame's time pixels (..., 2) are exposed, shape (...)."""
        return np.asarray((points_px - [(self.width_px - 1) / 2, (self.height_px - 1) / 2]) @ self.rolling_s_px)

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
        group.attrs.update(model=self.model, width_px=self.width_px, height_px=self.height_px, source=self.source)
        if self.rolling_s_px.any():
            group.attrs["rolling_s_px"] = self.rolling_s_px

    @classmethod
    def read(cls, group: Any) -> "CameraCalibration":
        """The calibration an HDF5 group holds."""
        attrs = group.attrs
        return cls(group["K"][()], int(attrs["width_px"]), int(attrs["height_px"]), group["distortion"][()],
                   group["T_rig_cam"][()], str(attrs["source"]), str(attrs["model"]),  # type: ignore[arg-type]
                   attrs.get("rolling_s_px", np.zeros(2)))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Every camera's calibration, by stream name."""

    cameras: Mapping[str, CameraCalibration] = field(default_factory=dict)

    def merged(self, other: "Calibration") -> "Calibration":
        """Both together; `other` wins where both know a camera."""
        return Calibration({**self.cameras, **other.cameras})
