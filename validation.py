"""Is it sound? For anything firsthand writes: a recording, an episode, a session, a library, an exported dataset."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import RECORDING, Episode, find_episodes
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
    faults = [f"{episode.id}: {fault}" for episode in episodes for fault in _check_episode(episode, progress)]
    return f"{len(episodes)} episode{'s' * (len(episodes) != 1)}", faults


def _check_episode(episode: Episode, progress: Callable[[str, int, int], None]) -> list[str]:
    faults = check_recording(episode.path / RECORDING, partial(progress, episode.id))
    readers: list[Callable[[], object]] = [partial(read_annotation, episode.annotations_path)]
    if episode.hands_path.exists():
        readers.append(partial(read_hands, episode.hands_path))
    readers += [partial(read_actions, episode.actions_path(robot)) for robot in episode.robots()]
    for read in readers:
        try:
            read()
        except (FirsthandError, KeyError, ValueError) as error:
            faults.append(str(error))
    return faults
