"""The joints of a hand in a region of a picture, by MediaPipe's landmark network."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.retarget.hand_region import Region, region_of_hand
from firsthand.retarget.network import Network, Pixels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What the network sees in a region."""

    points_px: Floats
    """Joints in the picture, counted from the corner of a pixel, shape (21, 2)."""
    local_m: Floats
    """Joints relative to the hand, along the camera's axes, shape (21, 3)."""
    presence: float
    """That there is a hand, 0..1."""
    rightness: float
    """-1 for a sure left hand, 1 for a sure right one."""

    @property
    def next_region(self) -> Region:
        """Where to look in the next picture."""
        return region_of_hand(self.points_px)

    def extent_px(self) -> float:
        """Diagonal of the box around the joints."""
        return float(np.linalg.norm(np.ptp(self.points_px, axis=0)))

    def apart(self, other: "Landmarks") -> float:
        """Mean distance of the joints from another hand's, in shares of the larger of the two."""
        distance = np.linalg.norm(self.points_px - other.points_px, axis=1).mean()
        return float(distance / max(self.extent_px(), other.extent_px(), 1e-9))


class HandLandmarks:
    """The landmark network with its buffer."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._cut = np.empty((network.size, network.size, 3), np.uint8)

    def __call__(self, image: Pixels, region: Region) -> Landmarks:
        """The joints in a region of a BGR picture."""
        size = self._network.size
        affine = region.affine(size)
        cv2.warpAffine(image, affine, (size, size), dst=self._cut, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                       borderMode=cv2.BORDER_REPLICATE)
        points, presence, right, local = self._network(self._cut)
        points_px = points.reshape(21, 3)[:, :2] @ affine[:, :2].T + affine[:, 2]
        local_m = local.reshape(21, 3).astype(np.float64)
        local_m[:, :2] = local_m[:, :2] @ region.axes().T
        return Landmarks(points_px, local_m, float(presence.item()), 2.0 * float(right.item()) - 1.0)
