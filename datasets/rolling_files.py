"""Files that roll over at a size, at the end of an episode: Parquet tables and videos that hold several episodes each."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firsthand.datasets.video_writer import VideoWriter


class TableFiles:
    """Appends tables to Parquet files, one row group a table. Used with ``with``."""

    def __init__(self, path_of: Callable[[int], Path], limit_bytes: int) -> None:
        self._path_of, self._limit = path_of, limit_bytes
        self._number = -1
        self._stack = ExitStack()
        self._writer: Any = None
        self._sink: Any = None

    def append(self, table: Any) -> int:
        """Add an Arrow table; returns the number of the file it went into."""
        import pyarrow.parquet as pq

        if self._writer is None or self._sink.tell() >= self._limit:
            self._stack.close()
            self._number += 1
            path = self._path_of(self._number)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = self._stack.enter_context(path.open("wb"))
            self._writer = self._stack.enter_context(pq.ParquetWriter(self._sink, table.schema))
        self._writer.write_table(table)
        return self._number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


class VideoFiles:
    """Videos that hold episodes back to back. Used with ``with``."""

    def __init__(self, open_video: Callable[[int], VideoWriter], limit_bytes: int, limit_frames: int) -> None:
        self._open, self._limit, self._limit_frames = open_video, limit_bytes, limit_frames
        self.number = -1
        """Which file is being written."""
        self._stack = ExitStack()
        self._video: VideoWriter | None = None

    def next_episode(self, frames: int) -> VideoWriter:
        """The video for an episode of so many frames: the current one, or a new one when it would grow past a limit.

        How many bytes an episode takes shows only afterwards; it is expected to compress like those before it.
        """
        video = self._video
        full = video is None or video.frames + frames > self._limit_frames
        if video is None or full or video.size_bytes * (1 + frames / max(1, video.frames)) > self._limit:
            self._stack.close()
            self.number += 1
            self._video = video = self._stack.enter_context(self._open(self.number))
        return video

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
