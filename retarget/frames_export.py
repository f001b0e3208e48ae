"""The pictures of an episode for a program that finds hands in them elsewhere: flat, upright, one file each, with times and optics."""

import json
from collections.abc import Callable
from pathlib import Path

from firsthand.capture.errors import DamagedError
from firsthand.capture.files import sha256, whole_folder
from firsthand.capture.library import Episode
from firsthand.retarget.flat_views import middle_view
from firsthand.retarget.hands_stage import optics

FILE = "frames.json"
QUALITY = 95
"""Of the JPEGs."""


def export_frames(episode: Episode, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write ``<out>/<episode>/000000.jpg`` and so on, and ``frames.json`` beside them; returns that folder, which appears whole.

    A picture whose lens bends it is put out flat. ``frames.json``: ``episode``, ``camera``, ``recording_sha256``, ``width_px``,
    ``height_px``, ``K`` (of the pictures as they are put out), ``assumed`` (whether the optics are a guess) and ``frame_t_ns``.
    Raises `FirsthandError` when the folder is there already, `DamagedError` when there are no pictures or one does not decode.
    """
    import cv2

    folder = out / episode.id
    with episode.recording() as recording, whole_folder(folder) as part:
        stream = recording.camera()
        height_px, width_px = stream.image(0).shape[:2]
        camera, _ = optics(recording, stream.spec.name, width_px, height_px)
        view = middle_view(camera)
        flat = camera if view is None else view.flat
        for i, image in enumerate(stream.images()):
            picture = image if view is None else view.flatten(image)
            if not cv2.imwrite(str(part / f"{i:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
                raise DamagedError(f"frame {i} of {episode.id} could not be written to {folder}; is the disk full?")
            if progress:
                progress(i + 1, len(stream))
        told = {"format": "firsthand.frames", "version": 1, "episode": episode.id, "camera": stream.spec.name,
                "recording_sha256": sha256(episode.recording_path), "width_px": flat.width_px, "height_px": flat.height_px,
                "K": flat.K.tolist(), "assumed": camera.source == "assumed", "frame_t_ns": stream.t_ns.tolist()}
        (part / FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")
    return folder
