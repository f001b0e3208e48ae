"""Raw pictures as a camera lays them out, as BGR."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
PACKED = {"YUYV": (2, "COLOR_YUV2BGR_YUYV"), "UYVY": (2, "COLOR_YUV2BGR_UYVY"), "RGB3": (3, "COLOR_RGB2BGR"), "BGR3": (3, ""),
          "GREY": (1, "COLOR_GRAY2BGR")}
"""Bytes a pixel, and OpenCV's conversion."""
PLANAR = {"NV12": "COLOR_YUV2BGR_NV12", "NV21": "COLOR_YUV2BGR_NV21", "YU12": "COLOR_YUV2BGR_I420", "YV12": "COLOR_YUV2BGR_YV12"}
"""A plane of brightness, then colours at half the size."""


def to_bgr(fourcc: str, width_px: int, height_px: int, line_bytes: int) -> Callable[[bytes], Picture | str]:
    """What makes pictures (H, W, 3) of buffers, or says why one is none. `line_bytes`: from one line to the next, 0 for no padding."""
    import cv2

    packed = fourcc in PACKED
    bytes_px, name = PACKED[fourcc] if packed else (1, PLANAR[fourcc])
    row = width_px * bytes_px
    stride = max(line_bytes, row)
    lines = height_px if packed else height_px * 3 // 2
    chroma_halved = fourcc in ("YU12", "YV12") and stride != row  # their colour lines are padded to half the stride
    size = stride * lines

    def convert(data: bytes) -> Picture | str:
        if len(data) < size - (stride - row):
            return "it is cut off"
        whole = np.zeros(size, np.uint8)
        whole[: min(len(data), size)] = np.frombuffer(data, np.uint8, min(len(data), size))
        if chroma_halved:
            halves = whole[stride * height_px :].reshape(-1, stride // 2)[:, : row // 2]
            plane: Any = np.concatenate([whole[: stride * height_px].reshape(height_px, stride)[:, :row].ravel(), halves.ravel()])
            plane = plane.reshape(lines, row)
        else:
            plane = np.ascontiguousarray(whole.reshape(lines, stride)[:, :row])
        if packed and bytes_px > 1:
            plane = plane.reshape(height_px, width_px, bytes_px)
        return np.asarray(cv2.cvtColor(plane, getattr(cv2, name)) if name else plane, np.uint8)

    return convert
