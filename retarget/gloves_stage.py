"""The gloves of a session, calibrated by one of its takes."""

from collections.abc import Callable

from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.glove_calibration import GloveCalibration, calibrate_glove, glove_stream
from firsthand.retarget.glove_file import gloves_path, write_gloves
from firsthand.retarget.hand_size import ADULT, sizes_of
from firsthand.retarget.hands_stage import make_hands


def calibrate_gloves(episode: Episode, *, progress: Callable[[int, int], None] | None = None) -> tuple[dict[Side, GloveCalibration],
                                                                                                       dict[Side, str]]:
    """Calibrate the gloves of an episode's session by this take of free movement, and write ``gloves.json`` for the other takes.

    Returns the calibrations, and for each other hand with a glove why it has none. Tracks the hands first.
    """
    found: dict[Side, GloveCalibration] = {}
    refused: dict[Side, str] = {}
    with episode.recording() as recording:
        sides = [side for side in SIDES if glove_stream(recording, side) is not None]
    if not sides:
        return found, refused
    hands, sizes = make_hands(episode, progress=progress), sizes_of(episode)
    with episode.recording() as recording:
        for side in sides:
            try:
                found[side] = calibrate_glove(recording, hands, side, sizes.get(side, ADULT))
            except FirsthandError as error:
                refused[side] = str(error)
    if found:
        write_gloves(gloves_path(episode), found)
    return found, refused
