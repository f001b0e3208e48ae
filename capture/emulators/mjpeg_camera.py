"""A camera in the network: the synthetic wearer's head camera as MJPEG, 640x480, 30 pictures a second, each with its number in a comment.

Its pictures are rendered before the first is sent, once for each seed; that takes some seconds.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from firsthand.capture.emulators.ticks import ticks

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ, SIZE_PX, LOOP_S = 30.0, (640, 480), 3.0
BOUNDARY = "firsthandframe"


def messages(emulation: "Emulation", *, size_px: tuple[int, int] = SIZE_PX, painted_hz: float = RATE_HZ) -> Iterator[tuple[int, bytes]]:
    """When each part leaves, in nanoseconds after the start, and the part, as mjpg-streamer and ESP32 cameras lay it out."""
    pictures = _pictures(emulation, size_px, painted_hz)

    def parts() -> Iterator[tuple[int, bytes]]:
        for due_ns, device_us, jpeg in pictures:
            headers = (f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
                       f"X-Timestamp: {device_us // 10**6}.{device_us % 10**6:06d}\r\n\r\n")
            yield due_ns, headers.encode() + jpeg + b"\r\n"

    return parts()


def plain(emulation: "Emulation", *, size_px: tuple[int, int] = SIZE_PX, painted_hz: float = RATE_HZ) -> Iterator[tuple[int, bytes]]:
    """The JPEGs alone, as ``rpicam-vid --codec mjpeg`` and ``ffmpeg -f mjpeg`` send them over TCP."""
    pictures = _pictures(emulation, size_px, painted_hz)
    return ((due_ns, jpeg) for due_ns, _, jpeg in pictures)


def _pictures(emulation: "Emulation", size_px: tuple[int, int], painted_hz: float) -> Iterator[tuple[int, int, bytes]]:
    """(due, the camera's clock in microseconds, JPEG): the take to and fro, painted so many times a second."""
    from firsthand.capture.synthetic.ahead import rendered
    from firsthand.capture.synthetic.wearer import Wearer

    wearer = Wearer(seed=emulation.seed, duration_s=LOOP_S, fps=painted_hz, size_px=size_px)
    ahead, count = rendered(wearer), len(wearer.seconds("head"))

    def numbered() -> Iterator[tuple[int, int, bytes]]:
        for tick in ticks(emulation, RATE_HZ):
            turn = round(tick.t_s * painted_hz) % (2 * count)
            jpeg = ahead.payload(min(turn, 2 * count - 1 - turn), 0)
            text = b"firsthand camera %d" % tick.sequence
            yield tick.due_ns, tick.device_us, jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]

    return numbered()
