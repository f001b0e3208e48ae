"""The driver ``uvc``: webcams and head cameras on USB, and cameras that stream over the network."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.cameras.address import read_address
from firsthand.capture.cameras.av_feed import AvFeed
from firsthand.capture.cameras.camera_driver import CameraDriver
from firsthand.capture.cameras.feed import Feed
from firsthand.capture.cameras.http_feed import MjpegFeed
from firsthand.capture.cameras.lens_file import read_lens
from firsthand.capture.cameras.modes import FORMATS, JPEG, RAW
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError

NEEDS = {"cv2": "camera", "av": "camera"}
Value = int | float | bool | str
USUAL_FPS = 30.0


def open_uvc(*, stream: str = "head", camera: str = "", url: str = "", size_px: Sequence[int] | None = None, fps: float | None = None,
             format: str = "auto", controls: Mapping[str, Value] | None = None, calibration: str = "", hfov_deg: float | None = None,
             rotation_deg: int = 0, timeout_s: float = 2.0) -> list[Driver]:
    """One camera as the stream `stream`: the USB camera `camera`, or what streams at `url`.

    `calibration` names a file with its optics; `hfov_deg` guesses them. Raises `FirsthandError` for options that cannot be.
    """
    if camera and url:
        raise FirsthandError("camera and url are both given; name one: a camera of this machine, or an address in the network")
    if (fps is not None and fps <= 0) or timeout_s <= 0:
        raise FirsthandError(f"fps is {fps} and timeout_s {timeout_s:g}; both are above 0")
    if format not in FORMATS and format not in (*JPEG, *RAW):
        raise FirsthandError(f"format is {format!r}; it is one of {', '.join(FORMATS)}, or a pixel format such as {', '.join(RAW)}")
    if size_px is not None and (len(size_px) != 2 or min(size_px) < 1):
        raise FirsthandError(f"size_px is {list(size_px)}; write width and height, such as [1920, 1080]")
    if rotation_deg % 90:
        raise FirsthandError(f"rotation_deg is {rotation_deg}; pictures are turned by 0, 90, 180 or 270")
    if calibration and hfov_deg is not None:
        raise FirsthandError("calibration and hfov_deg are both given; take hfov_deg out, the file knows better")
    if hfov_deg is not None and not 1 <= hfov_deg < 179:
        raise FirsthandError(f"hfov_deg is {hfov_deg:g}; a pinhole camera sees more than 1 and less than 179 degrees")
    known = read_lens(Path(calibration)) if calibration else None

    def lens(width_px: int, height_px: int) -> CameraCalibration | None:
        if known is None:
            return None if hfov_deg is None else CameraCalibration.from_hfov(width_px, height_px, hfov_deg)
        if (known.width_px, known.height_px) != (width_px, height_px):
            raise FirsthandError(f"{calibration} is for pictures of {known.width_px}x{known.height_px}, and the camera sends "
                                 f"{width_px}x{height_px}; calibrate at that size, or ask for the other with size_px")
        return known

    size = None if size_px is None else (int(size_px[0]), int(size_px[1]))
    extra = {"rotation_deg": rotation_deg} if rotation_deg else {}
    if url:
        feed = _network(url, size, fps, format, controls, timeout_s)
    else:
        feed = _attached(camera, size, fps or USUAL_FPS, format, controls or {}, timeout_s)
    return [CameraDriver(stream, feed, timeout_s=timeout_s, lens=lens, extra=extra)]


def _network(url: str, size: tuple[int, int] | None, fps: float | None, format: str, controls: Mapping[str, Value] | None,
             timeout_s: float) -> Feed:
    """A camera in the network sends what it was told to there; `fps` is only what to expect of it."""
    if size or format != "auto" or controls:
        raise FirsthandError("size_px, format and controls are for cameras of this machine; set a network camera in its own app or page")
    address = read_address(url)
    if address.scheme != "rtsp":
        return MjpegFeed(address, rate_hz=fps, timeout_s=timeout_s)
    # Sound beside the video would have FFmpeg shift its times when the camera first tells its wall clock.
    options = {"rtsp_transport": "tcp", "allowed_media_types": "video", "analyzeduration": "500000"}
    return AvFeed(address.with_login, address.url, options=options, rate_hz=fps, timeout_s=timeout_s, extra={"url": address.url})


def _attached(camera: str, size: tuple[int, int] | None, fps: float, format: str, controls: Mapping[str, Value], timeout_s: float) -> Feed:
    """A camera of this machine, by the system's own way to it."""
    if sys.platform == "linux":
        from firsthand.capture.cameras.controls import check_controls
        from firsthand.capture.cameras.v4l2_feed import V4l2Feed

        check_controls(controls)
        return V4l2Feed(camera, size_px=size, fps=fps, format=format, controls=controls)
    if controls:
        raise FirsthandError("controls can only be set on Linux; set them with the camera's own program, and take them out of the rig file")
    if not camera:
        raise FirsthandError("camera is not given; name it as the system does, such as 'FaceTime HD Camera'")
    options = {"framerate": f"{fps:g}", **({"video_size": f"{size[0]}x{size[1]}"} if size else {})}
    if sys.platform == "darwin":
        return AvFeed(camera, f"the camera {camera!r}", format="avfoundation", options=options, rate_hz=fps, timeout_s=timeout_s,
                      extra={"device": camera}, check="check its name and cable, and System Settings > Privacy > Camera")
    if format in ("mjpeg", "h264"):
        options["vcodec"] = format
    return AvFeed(f"video={camera}", f"the camera {camera!r}", format="dshow", options=options, rate_hz=fps, timeout_s=timeout_s,
                  extra={"device": camera}, check="check its name and cable, and that no other program has it")
