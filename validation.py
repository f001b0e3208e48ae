"""Is it sound? For anything firsthand writes: a recording, an episode, a session, a library, an exported dataset."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode, find_episodes, read_session
from firsthand.capture.summary import check_recording
from firsthand.datasets.formats import recognise, validate
from firsthand.retarget.action_track import read_actions
from firsthand.retarget.hand_track import read_hands


def check(path: Path, progress: Callable[[str, int, int], None]) -> tuple[str, list[str]]:
    """What `path` is, and everything wrong with it, one sentence each. Raises `FirsthandError` when it is nothing we know."""
    if path.is_file():
        return "recording", check_recording(path, partial(progress, path.name))
    if not path.exists():
        raise FirsthandError(f"nothing at {path}; give a recording, an episode, a library or an exported dataset")
    try:
        episodes = find_episodes(path)
    except FirsthandError:
        return recognise(path).name, validate(path, progress=partial(progress, path.name))
    faults = []
    for folder in dict.fromkeys(episode.path.parent for episode in episodes):
        try:
            read_session(folder)
        except FirsthandError as error:
            faults.append(str(error))
    faults += [f"{episode.id}: {fault}" for episode in episodes for fault in _check_episode(episode, progress)]
    return f"{len(episodes)} episode{'s' * (len(episodes) != 1)}", faults


def _check_episode(episode: Episode, progress: Callable[[str, int, int], None]) -> list[str]:
    faults = check_recording(episode.recording_path, partial(progress, episode.id))
    lengths: dict[str, int | None] = {}
    for path, count in _derived(episode):
        try:
            lengths[path.name] = count(path)
        except FirsthandError as error:
            faults.append(str(error))
    if lengths and not faults:
        stream, frames = _reference(episode)
        faults += [f"{name} is about {n} frames, {stream} recorded {frames}; make it again" for name, n in lengths.items()
                   if n not in (None, frames)]
    return faults


def _reference(episode: Episode) -> tuple[str, int]:
    """What the rows of an episode's files are about, and how many there are: the camera's frames, else what the hands count by."""
    with episode.recording() as recording:
        if recording.role("camera") or not episode.hands_path.exists():
            return "the camera", len(recording.camera())
        name = read_hands(episode.hands_path).camera
        return name, len(recording[name])


def _derived(episode: Episode) -> Iterator[tuple[Path, Callable[[Path], int | None]]]:
    """The files made of an episode's recording that are there, each with what tells how many frames it is about."""
    if episode.annotations_path.exists():
        yield episode.annotations_path, _frames_of_annotation
    if episode.hands_path.exists():
        yield episode.hands_path, lambda path: len(read_hands(path).t_ns)
    for path in map(episode.actions_path, episode.robots()):
        yield path, _frames_of_actions


def _frames_of_annotation(path: Path) -> int | None:
    annotation = read_annotation(path)
    return annotation.n_frames if annotation else None


def _frames_of_actions(path: Path) -> int | None:
    """None for a robot that had no hand to follow."""
    return next((len(track.t_ns) for track in read_actions(path).tracks.values()), None)
