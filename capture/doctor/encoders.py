"""What each encoder costs on this machine, found by opening it and encoding pictures, in a process of its own: a driver may crash."""

import time
from typing import Any

from firsthand.capture.doctor.finding import Finding
from firsthand.capture.doctor.machine import available
from firsthand.capture.errors import FirsthandError
from firsthand.capture.probe import Progress, apart

TRIED = ("jpeg", "h264", "hevc", "depth png", "depth depth-zstd")
CHIPS = ("h264_hardware", "hevc_hardware")
SIZE_PX, DEPTH_PX = (1920, 1080), (848, 480)
PICTURES = 12
RATE_HZ = 30
LOAD = 0.7
"""Of the processors, at most: beyond, pictures wait."""
STALL_S = 20.0


def encoders() -> list[Finding]:
    """One line each: milliseconds a picture, and how many streams that makes. JPEG is what must work; a chip is welcome."""
    found = [_judge(how, _try(how)) for how in TRIED]
    chips = {how: cost for how in CHIPS if isinstance(cost := _try(how), float)}
    return found + ([_judge(how, cost) for how, cost in chips.items()] or [Finding("encoder chip", "none works here")])


def _try(how: str) -> float | str:
    """CPU milliseconds a picture, or why it cannot be had."""
    try:
        return float(apart(f"{__name__}:cost_ms", how, stall_s=STALL_S))
    except FirsthandError as error:
        return str(error)


def _judge(how: str, cost: float | str) -> Finding:
    what, must = f"encode {how.replace('depth depth', 'depth')}", how == "jpeg"
    if isinstance(cost, str):
        cure = "pip install 'firsthand[camera]'" if "No module" in cost else "choose another encoder in the rig file"
        return Finding(what, cost, "", "bad" if must else "warn", cure)
    streams = int(LOAD * available() * 1000 / RATE_HZ / max(cost, 1e-3))
    room = f"{streams} stream{'s' * (streams != 1)} of" if streams else "too slow for"
    size = f"{DEPTH_PX[0]}x{DEPTH_PX[1]} at {RATE_HZ}" if how.startswith("depth") else f"{SIZE_PX[1]}p{RATE_HZ}"
    failed = must and not streams
    return Finding(what, f"{cost:.1f} ms: {room} {size}", "≥ 1" if must else "", "bad" if failed else "ok",
                   "take pictures that the camera compresses itself (MJPEG), or smaller ones" if failed else "")


def cost_ms(how: str, progress: Progress) -> float:
    """CPU milliseconds a picture, in the process that calls this."""
    import cv2
    import numpy as np

    from firsthand.capture.encode import open_encoder
    from firsthand.capture.stream import StreamSpec

    cv2.setNumThreads(1)
    depth, name = how.startswith("depth "), how.removeprefix("depth ")
    width, height = DEPTH_PX if depth else SIZE_PX
    spec = StreamSpec("probe", "encoded", "depth" if depth else "camera", encoding="raw", rate_hz=RATE_HZ, width_px=width, height_px=height)
    encoder = open_encoder(spec, name)
    rng = np.random.default_rng(0)
    coarse = rng.integers(300, 3000, (height // 40, width // 40), np.uint16) if depth else rng.integers(0, 255, (27, 48, 3), np.uint8)
    scene: Any = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    scene = scene + rng.integers(0, 6, scene.shape, scene.dtype)  # what sensors add costs the most
    pictures = [np.roll(scene, 7 * i, axis=1) for i in range(PICTURES)]
    encoder.encode(pictures[0])
    start = time.process_time()
    for i, picture in enumerate(pictures):
        encoder.encode(picture)
        progress(i, PICTURES)
    return (time.process_time() - start) * 1e3 / PICTURES
