"""Where printed boards and tags are in a picture: their known points, and the directions they were seen in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.anchor import Anchor
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.retarget.metric import rays

Floats = npt.NDArray[np.float64]

FEWEST_CORNERS = 6
"""Of a board: fewer lie on a line too often."""


@dataclass(frozen=True, eq=False)
class Sight:
    """One anchor in one picture."""

    anchor: int
    """Its place among the anchors."""
    points_m: Floats
    """Its points that were seen, in its own axes, shape (P, 3)."""
    xy: Floats
    """Their rays on the plane z = 1, shape (P, 2)."""


class AnchorFinder:
    """Finds anchors in pictures (H, W, 3) of one camera."""

    def __init__(self, anchors: Sequence[Anchor], camera: CameraCalibration) -> None:
        import cv2

        self._camera = camera
        self._tags = [(i, _tag_points(anchor)) for i, anchor in enumerate(anchors) if anchor.kind == "apriltag"]
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
        wanted = [anchors[i].id for i, _ in self._tags]
        if max(wanted, default=0) >= len(family.bytesList):
            raise FirsthandError(f"there is no tag {max(wanted)} in AprilTag's family 36h11; its ids are 0 to {len(family.bytesList) - 1}")
        # Only ours: each quadrangle in the picture is compared with every tag of the dictionary.
        ours = cv2.aruco.Dictionary(family.bytesList[wanted], family.markerSize, family.maxCorrectionBits)
        self._tag_detector = cv2.aruco.ArucoDetector(ours, parameters) if wanted else None
        self._boards = [(i, board, cv2.aruco.CharucoDetector(board)) for i, anchor in enumerate(anchors) if anchor.kind == "charuco"
                        for board in [charuco_board(anchor)]]

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Sight]:
        """What is seen of each anchor; nothing of one that is hidden or too small."""
        import cv2

        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found: list[tuple[int, Floats, Any]] = []  # anchor, points, pixels
        for i, board, detector in self._boards:
            corners, ids, _, _ = detector.detectBoard(grey)
            if ids is not None and len(ids) >= FEWEST_CORNERS:
                points = np.asarray(board.getChessboardCorners(), np.float64)[ids.ravel()]
                if np.linalg.matrix_rank(points - points.mean(0), tol=1e-6) >= 2:
                    found.append((i, points, corners))
        if self._tag_detector is not None:
            quads, tags, _ = self._tag_detector.detectMarkers(grey)
            seen = [] if tags is None else [int(tag) for tag in tags.ravel()]
            found += [(*self._tags[tag], quad) for tag, quad in zip(seen, quads, strict=True) if seen.count(tag) == 1]
        sights = [Sight(i, points, rays(np.asarray(px, np.float64).reshape(-1, 2), self._camera)) for i, points, px in found]
        return [sight for sight in sights if np.isfinite(sight.xy).all()]


def charuco_board(anchor: Anchor) -> Any:
    """OpenCV's board of an anchor; its corners are in the anchor's axes."""
    import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{anchor.dictionary.upper()}"))
    markers = anchor.columns * anchor.rows // 2
    return cv2.aruco.CharucoBoard((anchor.columns, anchor.rows), anchor.size_m, anchor.marker_m, dictionary,
                                  np.arange(anchor.id, anchor.id + markers))


def _tag_points(anchor: Anchor) -> Floats:
    """The corners of a tag, clockwise from the top left, about its middle, shape (4, 3)."""
    half = anchor.size_m / 2
    return np.array([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)])
