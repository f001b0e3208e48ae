"""An episode's video with its hands drawn in: which hand, how each is known, how sure, and where one is absent."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.annotate.overlay import COLOUR_BGR, Image, draw_hand
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import SIDES, TIPS, WRIST, Side
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, METRIC, PROVENANCE, Hands, read_hands

TICKS = 90_000
"""Presentation times are whole ticks of 1/90000 s: those of the recording, not of a rate."""
NARROWEST_PX, WIDEST_PX = 480, 1280
ROW_PX, BAR_PX, EDGE_PX = 22, 8, 8
PAPER, INK, DIM, MISSING = (28, 26, 24), (235, 235, 235), (130, 130, 130), (70, 70, 230)


def overlay_video(episode: Episode, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write an H.264 MP4 with the recording's own times. Under each picture: the two hands in words, and both over the whole episode.

    Bones are thin where a hand is interpolated; the ring around wrist and fingertips is one sigma. Raises `FirsthandError` when the hands
    were not tracked, or a picture does not decode.
    """
    import av

    hands = read_hands(episode.hands_path)
    bars: Image | None = None
    with episode.recording() as recording, whole_file(path) as part, av.open(str(part), "w", format="mp4",
                                                                             options={"movflags": "+faststart"}) as container:
        camera = recording[hands.camera]
        if len(camera) != len(hands.t_ns):
            raise FirsthandError(f"{episode.id}: hands.h5 has {len(hands.t_ns)} frames, the recording {len(camera)}; "
                                 "run 'firsthand process' again")
        video: Any = container.add_stream("libx264", rate=30)
        video.pix_fmt, video.time_base = "yuv420p", Fraction(1, TICKS)
        video.codec_context.time_base = Fraction(1, TICKS)
        video.options = {"preset": "veryfast", "crf": "22", "bf": "0"}
        before = -1
        for i, image in enumerate(camera.images()):
            picture, scale = _sized(image.copy())
            if bars is None:
                bars = coverage_bars(hands, picture.shape[1])
                video.width, video.height = picture.shape[1], picture.shape[0] + _strip_px()
            draw_frame(picture, hands, i, scale)
            whole = np.concatenate([picture, _strip(hands, i, bars)])
            frame = av.VideoFrame.from_ndarray(whole, format="bgr24")
            before = max(round((int(hands.t_ns[i]) - int(hands.t_ns[0])) * TICKS / 1e9), before + 1)
            frame.pts, frame.time_base = before, Fraction(1, TICKS)
            container.mux(video.encode(frame))
            if progress:
                progress(i + 1, len(camera))
        if bars is None:
            raise FirsthandError(f"{episode.id} has no pictures")
        container.mux(video.encode(None))


def draw_frame(picture: Image, hands: Hands, i: int, scale: float = 1.0) -> None:
    """Draw the hands of frame `i`, with a sigma's ring around wrist and fingertips, into a picture `scale` times the camera's; in place."""
    import cv2

    for side, track in hands.tracks.items():
        points = (track.points_px[i] + 0.5) * scale - 0.5
        draw_hand(picture, points, side, int(track.provenance[i].max()))
        z = hands.in_camera(side)[i, :, 2] if np.isfinite(points).all() else np.full(21, np.nan)
        for joint in (WRIST, *TIPS):
            radius = float(track.sigma_m[i, joint] * hands.intrinsics.K[0, 0] / z[joint] * scale) if z[joint] > 0 else np.nan
            if np.isfinite(radius) and radius < picture.shape[1]:
                centre = np.rint(points[joint] * 16).astype(int)
                cv2.circle(picture, (int(centre[0]), int(centre[1])), round(radius * 16), COLOUR_BGR[side], 1, cv2.LINE_AA, 4)


def coverage_bars(hands: Hands, width_px: int) -> Image:
    """Both hands over the whole episode, a bar each: bright where measured, half as bright where filled in, dark where absent."""
    bars = np.full((len(SIDES) * (BAR_PX + 2), width_px - 2 * EDGE_PX, 3), PAPER, np.uint8)
    column = np.linspace(0, len(hands.t_ns) - 1, bars.shape[1]).round().astype(int)
    for row, side in enumerate(SIDES):
        code = np.full(len(hands.t_ns), ABSENT) if side not in hands.tracks else hands.tracks[side].provenance.max(1)
        share = np.where(code == ABSENT, 0.0, np.where(code == INTERPOLATED, 0.5, 1.0))[column, None]
        colour = np.array(COLOUR_BGR[side]) * share + np.array((60, 60, 60)) * (1 - share)
        bars[row * (BAR_PX + 2) : row * (BAR_PX + 2) + BAR_PX] = colour.astype(np.uint8)
    return bars


def in_words(hands: Hands, side: Side, i: int) -> str:
    """How a hand is known in a frame."""
    track = hands.tracks.get(side)
    code = ABSENT if track is None else int(track.provenance[i].max())
    if track is None or code == ABSENT:
        return "absent"
    z = float(hands.in_camera(side)[i, WRIST, 2])
    sigma = float(np.median(track.sigma_m[i])) * 1e3
    return f"{PROVENANCE[code]}, {METRIC[int(track.metric[i])].replace('_', ' ')}, {z:.2f} m, sigma {sigma:.0f} mm"


def _sized(image: Image) -> tuple[Image, float]:
    """A picture of even sides that is neither too narrow for the words nor too wide for a screen; and how much larger it is."""
    import cv2

    height, width = image.shape[:2]
    scale = float(np.clip(width, NARROWEST_PX, WIDEST_PX)) / width
    size = 2 * round(width * scale / 2), 2 * round(height * scale / 2)
    return (image if size == (width, height) else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)), scale


def _strip_px() -> int:
    return len(SIDES) * (ROW_PX + BAR_PX + 2) + 2 * EDGE_PX


def _strip(hands: Hands, i: int, bars: Image) -> Image:
    import cv2

    strip: npt.NDArray[np.uint8] = np.full((_strip_px(), bars.shape[1] + 2 * EDGE_PX, 3), PAPER, np.uint8)
    for row, side in enumerate(SIDES):
        at, text = EDGE_PX + ROW_PX * row + 14, in_words(hands, side, i)
        cv2.putText(strip, side, (EDGE_PX, at), cv2.FONT_HERSHEY_DUPLEX, 0.45, COLOUR_BGR[side], 1, cv2.LINE_AA)
        cv2.putText(strip, text, (EDGE_PX + 52, at), cv2.FONT_HERSHEY_DUPLEX, 0.45, MISSING if text == "absent" else INK, 1, cv2.LINE_AA)
    seconds = (int(hands.t_ns[i]) - int(hands.t_ns[0])) * 1e-9
    number = f"{seconds:.2f} s  {i}"
    left = strip.shape[1] - EDGE_PX - cv2.getTextSize(number, cv2.FONT_HERSHEY_DUPLEX, 0.4, 1)[0][0]
    cv2.putText(strip, number, (left, EDGE_PX + 14), cv2.FONT_HERSHEY_DUPLEX, 0.4, DIM, 1, cv2.LINE_AA)
    top = EDGE_PX + ROW_PX * len(SIDES)
    strip[top : top + len(bars), EDGE_PX:-EDGE_PX] = bars
    x = EDGE_PX + round((bars.shape[1] - 1) * i / max(len(hands.t_ns) - 1, 1))
    strip[top - 2 : top + len(bars), max(x - 1, 0) : x + 1] = INK
    return strip
