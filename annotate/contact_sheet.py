"""A take at a glance: evenly spaced frames with hands and gripper drawn in, one row an episode."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from firsthand.annotate.annotation import Annotation, read_annotation
from firsthand.annotate.overlay import Image, draw_gripper, draw_hand
from firsthand.capture.files import whole_file
from firsthand.capture.library import Episode
from firsthand.retarget.action_track import Actions, read_actions
from firsthand.retarget.hand_track import Hands, read_hands

TILE_PX = 300
MARGIN_PX = 8
CAPTION_PX = 30
PAPER, INK, DIM = (250, 249, 247), (40, 36, 32), (140, 132, 124)


def episode_frames(episode: Episode, count: int, robot: str | None = None) -> list[tuple[int, Image]]:
    """`count` evenly spaced frames of an episode as (frame number, BGR picture) with what is known drawn in."""
    hands = read_hands(episode.hands_path) if episode.hands_path.exists() else None
    actions = read_actions(episode.actions_path(robot)) if robot and episode.actions_path(robot).exists() else None
    with episode.recording() as recording:
        camera = recording.camera()
        wanted = np.unique(np.linspace(0, len(camera) - 1, count).round().astype(int))
        pictures = [(int(i), camera.image(int(i)).copy()) for i in wanted]
    for i, picture in pictures:
        if hands is not None:
            draw_frame(picture, i, hands, actions)
    return pictures


def draw_frame(picture: Image, i: int, hands: Hands, actions: Actions | None = None) -> None:
    """Draw what is known of frame `i` into its picture: both hands, and the gripper where there is one."""
    for side, track in hands.tracks.items():
        draw_hand(picture, track.points_px[i], side, int(track.provenance[i].max()))
    if actions is None or actions.kind != "gripper":
        return
    for action in actions.tracks.values():
        T = action.T_frame_ee[i] if hands.T_world_cam is None else np.linalg.inv(hands.T_world_cam[i]) @ action.T_frame_ee[i]
        draw_gripper(picture, hands.intrinsics, T, float(action.joints[i, 0]))


def contact_sheet(episodes: Sequence[Episode], path: Path, *, columns: int = 6, robot: str | None = None) -> None:
    """Write a PNG of all episodes, each a row of `columns` frames under its task text."""
    import cv2

    rows = []
    for episode in episodes:
        frames = episode_frames(episode, columns, robot)
        annotation = read_annotation(episode.annotations_path)
        with episode.recording() as recording:
            title, seconds = (annotation.instruction if annotation else "") or recording.task or episode.id, recording.duration_s
        rows.append(_row(frames, columns, f"{title}  -  {seconds:.1f} s", annotation))
    sheet = np.concatenate(rows)
    with whole_file(path) as part:
        part.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


def _row(frames: Sequence[tuple[int, Image]], columns: int, title: str, annotation: Annotation | None) -> Image:
    import cv2

    height = max(round(TILE_PX * f.shape[0] / f.shape[1]) for _, f in frames)
    step = TILE_PX + MARGIN_PX
    row = np.full((CAPTION_PX * 2 + height + MARGIN_PX, columns * step + MARGIN_PX, 3), PAPER, np.uint8)
    cv2.putText(row, title[:110], (MARGIN_PX, 22), cv2.FONT_HERSHEY_DUPLEX, 0.6, INK, 1, cv2.LINE_AA)
    for k, (i, frame) in enumerate(frames):
        x, h = MARGIN_PX + k * step, round(TILE_PX * frame.shape[0] / frame.shape[1])
        row[CAPTION_PX : CAPTION_PX + h, x : x + TILE_PX] = cv2.resize(frame, (TILE_PX, h), interpolation=cv2.INTER_AREA)
        text = f"frame {i}  {label_at(annotation, i)}"
        cv2.putText(row, text, (x, CAPTION_PX + height + 20), cv2.FONT_HERSHEY_DUPLEX, 0.45, DIM, 1, cv2.LINE_AA)
    return row


def label_at(annotation: Annotation | None, frame: int) -> str:
    """The subtask at a frame; empty where there is none."""
    spans = annotation.tiers.get("subtask", ()) if annotation else ()
    return next((s.text or s.label for s in spans if s.a <= frame < s.b), "")
