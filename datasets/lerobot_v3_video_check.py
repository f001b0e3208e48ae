"""Is one video file of a LeRobot dataset what its episodes say? Packets, times, keyframes, and every picture decoded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.errors import FirsthandError
from firsthand.datasets.video_reader import FrameTable, decode_all, frame_table

TOLERANCE_S = 1e-4
"""LeRobot's own tolerance between the time asked for and the frame found."""


def check_video(path: Path, name: str, clips: Sequence[tuple[int, int, float, float]], info: dict[str, Any], feature: dict[str, Any],
                decoded: Callable[[], None] | None = None) -> list[str]:
    """Findings on one file. `clips` are (episode, frames, from, to) in order of episodes, to lie back to back from 0 on."""
    if not path.is_file():
        return [f"{name} is missing"]
    fps = info["fps"]
    findings, at = [], 0
    for episode, frames, start, end in clips:
        if abs(start - at / fps) > TOLERANCE_S or abs(end - (at + frames) / fps) > TOLERANCE_S:
            findings.append(f"{name}: episode {episode} is said to lie at {start:.4f}..{end:.4f} s, the episodes before it put it at "
                            f"{at / fps:.4f}..{(at + frames) / fps:.4f} s")
        at += frames
    try:
        table = frame_table(path)
        findings += _check_table(name, table, at, [start for _, _, start, _ in clips], fps, feature)
        count = 0
        for _ in decode_all(path):
            count += 1
            if decoded:
                decoded()
    except FirsthandError as error:
        return [*findings, str(error)]
    if count != at:
        findings.append(f"{name}: {count} pictures decode, the rows say {at}")
    return findings


def _check_table(name: str, table: FrameTable, frames: int, starts: Sequence[float], fps: int, feature: dict[str, Any]) -> list[str]:
    findings = []
    if len(table.pts) != frames:
        findings.append(f"{name}: {len(table.pts)} frames, the rows say {frames}")
    shown_s, wanted_s = table.pts * table.tick_s, np.arange(len(table.pts)) / fps
    late = np.flatnonzero(np.abs(shown_s - wanted_s) > TOLERANCE_S)
    if len(late):
        i = late[0]
        findings.append(f"{name}: frame {i} is shown at {shown_s[i]:.4f} s, wanted {wanted_s[i]:.4f} s ({len(late)} such frames)")
    if table.reordered:
        findings.append(f"{name}: has B-frames, so every random read costs more")
    first = [round(start * fps) for start in starts]
    if any(not table.keyframe[i] for i in first if 0 <= i < len(table.keyframe)):
        findings.append(f"{name}: an episode does not begin with a keyframe")
    height, width = feature["shape"][:2]
    if (table.height_px, table.width_px) != (height, width):
        findings.append(f"{name}: pictures are {table.height_px}x{table.width_px}, the metadata says {height}x{width}")
    is_now, stated = (table.codec, table.pixel_format), feature.get("info", {})
    said = (stated.get("video.codec"), stated.get("video.pix_fmt"))
    if is_now != said:
        findings.append(f"{name}: codec and pixel format are {is_now}, the metadata says {said}")
    return findings
