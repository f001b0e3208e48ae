"""After a hole in a video stream, nothing up to the next key frame can be decoded."""

from dataclasses import replace

from firsthand.capture.scan import Chunk
from firsthand.capture.stream import KEYFRAME


class Decodable:
    """Goes through a video stream's rows in order, and has those not count that need one that is lost.

    A decoder would raise at them or, worse, hand out pictures that look almost right.
    """

    def __init__(self) -> None:
        self._broken = False

    def of(self, chunk: Chunk) -> Chunk:
        """The next rows, those that cannot be decoded not sound."""
        if not (self._broken or chunk.blank or chunk.lost):
            return chunk
        self._broken |= chunk.blank > 0
        sound = chunk.sound.copy()
        for i, is_key in enumerate((chunk.rows["flags"] & KEYFRAME).tolist()):
            self._broken = not sound[i] or (self._broken and not is_key)
            sound[i] = not self._broken
        return replace(chunk, sound=sound)
