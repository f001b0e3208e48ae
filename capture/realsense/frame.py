"""What a RealSense frame holds: pixels, the facts beside them, and which clock stamped it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError

DOMAINS = HARDWARE, SYSTEM, GLOBAL = "hardware_clock", "system_time", "global_time"
"""What stamped a frame, numbered as the SDK does: the camera's counter, the host's time of day on arrival, the SDK's blend of both."""
WRAP_NS = 2**32 * 1000
"""The cameras count microseconds in 32 bits: 71 minutes."""
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


def stream_key(profile: Any) -> tuple[str, int]:
    """Tells a camera's streams apart."""
    return str(profile.stream_type()), int(profile.stream_index())


def domain(frame: Any) -> str:
    """The clock that stamped a frame."""
    return str(frame.frame_timestamp_domain).rpartition(".")[2]


def stamp_ns(frame: Any) -> int:
    """A frame's stamp on that clock. The SDK tells milliseconds in a float64, which hold the microseconds of each of them."""
    return round(float(frame.timestamp) * 1e6)


def facts(frame: Any, which: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """The frame's metadata, NaN where it has none; shape (len(which),)."""
    return np.array([float(frame.get_frame_metadata(fact)) if fact is not None and frame.supports_frame_metadata(fact) else np.nan
                     for fact in which])


def motion(frame: Any) -> npt.NDArray[np.float64]:
    """Specific force (m/s^2) or rotation rate (rad/s) along x, y, z; shape (3,)."""
    data = frame.as_motion_frame().get_motion_data()
    return np.array([data.x, data.y, data.z], np.float64)


def picture(rs: Any, frame: Any, form: Any, width_px: int, height_px: int) -> bytes | npt.NDArray[Any]:
    """The frame's pixels, copied: BGR (H, W, 3), grey (H, W) uint8, depth (H, W) uint16; or the bytes of its JPEG.

    Raises `DamagedError` for a JPEG that is cut off and for a format that no picture can be made from.
    """
    import cv2

    data = np.asanyarray(frame.get_data())
    if form == rs.format.mjpeg:
        return _jpeg(frame, data)
    shape = (height_px, width_px)
    if form == rs.format.rgb8:
        return np.asarray(cv2.cvtColor(data.reshape(*shape, 3), cv2.COLOR_RGB2BGR))
    if form in (rs.format.rgba8, rs.format.bgra8):
        return np.asarray(cv2.cvtColor(data.reshape(*shape, 4), cv2.COLOR_RGBA2BGR if form == rs.format.rgba8 else cv2.COLOR_BGRA2BGR))
    if form in (rs.format.yuyv, rs.format.uyvy):
        code = cv2.COLOR_YUV2BGR_YUYV if form == rs.format.yuyv else cv2.COLOR_YUV2BGR_UYVY
        return np.asarray(cv2.cvtColor(data.view(np.uint8).reshape(*shape, 2), code))
    if form == rs.format.bgr8:
        return np.array(data.reshape(*shape, 3))
    if form in (rs.format.y8, rs.format.z16, rs.format.y16, rs.format.disparity16):
        return np.array(data.reshape(shape))
    raise DamagedError(f"pictures come in the format {form}, which none can be made from; record colour as bgr8")


def _jpeg(frame: Any, data: npt.NDArray[Any]) -> bytes:
    """The SDK announces a JPEG as one byte a pixel, which is more than there is; where it knows the size, nothing beyond may be read."""
    content = data.reshape(-1)[: frame.get_data_size() or None].tobytes()
    end = content.rfind(_JPEG_END)
    if not content.startswith(_JPEG_START) or end < 0:
        raise DamagedError("a JPEG is cut off")
    return content[: end + len(_JPEG_END)]
