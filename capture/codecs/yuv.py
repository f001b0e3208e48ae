"""BGR pictures as the frames video encoders take. OpenCV converts: PyAV would hold the interpreter while it does."""

from typing import Any

import numpy as np


def yuv_frame(image: Any, width_px: int, height_px: int, pixels: str) -> Any:
    """A picture, BGR (H, W, 3) or grey (H, W) uint8, as an ``av.VideoFrame`` of ``yuv420p`` or ``nv12``: BT.601, limited range.

    Width and height are even and at most one larger than the picture's, whose last column or row is then repeated.
    """
    import cv2

    image = np.ascontiguousarray(image)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    right, below = width_px - image.shape[1], height_px - image.shape[0]
    if right or below:
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    planes: Any = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)  # (H 3/2, W): Y, then U, then V
    if pixels == "nv12":  # Y, then U and V in turn
        colours = planes[height_px:].reshape(2, -1)
        planes[height_px:] = np.ascontiguousarray(colours.T).reshape(-1, width_px)
    return _as_frame(planes, pixels)


def _as_frame(planes: Any, pixels: str) -> Any:
    """Without a copy where PyAV can do it: a frame of its own costs as much again as the conversion."""
    import av

    height, width = len(planes) * 2 // 3, planes.shape[1]
    if height % 4 == 0:
        return av.VideoFrame.from_numpy_buffer(planes, format=pixels)
    frame: Any = av.VideoFrame(width, height, pixels)
    at, flat = 0, planes.reshape(-1)
    for number, plane in enumerate(frame.planes):
        row_bytes = width if number == 0 or pixels == "nv12" else width // 2
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, :row_bytes]
        rows[:] = flat[at : at + rows.size].reshape(rows.shape)
        at += rows.size
    return frame
