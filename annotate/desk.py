"""The review desk: one open library with its store, its tokens, and the pictures being made ready."""

import getpass
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from firsthand.annotate.annotation import TIERS
from firsthand.annotate.catalog import EpisodeRow, Filter, after, find_row, refresh
from firsthand.annotate.labels import FLAGS, LABELS
from firsthand.annotate.proxy import Proxy, cache_folder, find_proxy, make_proxy, recording_key
from firsthand.annotate.signals import episode_signals
from firsthand.annotate.store import Saved, Store, library_store
from firsthand.annotate.suggest import suggest_segments
from firsthand.annotate.tokens import Tokens
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.capture.library import Episode, find_episodes
from firsthand.retarget.hand_track import read_hands

LIBRARY_VARIABLE, AUTHOR_VARIABLE = "FIRSTHAND_LIBRARY", "FIRSTHAND_AUTHOR"
PREFIX = "/review-api"


@dataclass(frozen=True)
class Opened:
    """An episode as the player gets it."""

    row: EpisodeRow
    saved: Saved
    proxy: Proxy


class Desk:
    """One library, open for review. Episodes are looked up by id and never by path."""

    def __init__(self, library: Path) -> None:
        self.library = library.expanduser().resolve()
        self.store: Store = library_store(self.library) if self.library.is_dir() else _no_library(self.library)
        self.tokens = Tokens()
        self.author = os.environ.get(AUTHOR_VARIABLE) or _user()
        self.episodes: dict[str, Episode] = {}
        self._making = threading.Lock()

    def look(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Find the library's episodes as they are now."""
        self.episodes = {episode.id: episode for episode in find_episodes(self.library)}
        refresh(self.store, self.episodes, progress)

    def episode(self, id: str) -> Episode:
        """The episode called `id`. Raises `FirsthandError` when the library has none."""
        if id not in self.episodes:
            raise FirsthandError(f"no episode {id!r} in this library; it may have been moved: go back to Browse")
        return self.episodes[id]

    def row(self, id: str) -> EpisodeRow:
        """The episode's line in the catalogue."""
        self.episode(id)
        row = find_row(self.store, id)
        if row is None:
            raise FirsthandError(f"{id} is not in the review store; reload the page")
        return row

    def open(self, id: str, progress: Callable[[int, int], None] | None = None) -> Opened:
        """An episode with its proxy made. Raises `FirsthandError` with the reason when it cannot be opened."""
        episode, row = self.episode(id), self.row(id)
        if row.problem:
            raise FirsthandError(row.problem)
        proxy = find_proxy(episode)  # what is there must not wait for what is being made
        if proxy is None:
            with self._making:
                proxy = make_proxy(episode, progress)
        return Opened(row, self.store.open_episode(episode, proxy.n_frames), proxy)

    def prepare(self, id: str) -> None:
        """Make an episode's pictures in the background, unless others are being made, so that opening it does not wait."""
        episode = self.episode(id)
        if not find_proxy(episode) and not self._making.locked():
            threading.Thread(target=self._prepare, args=(episode,), daemon=True).start()

    def _prepare(self, episode: Episode) -> None:
        with suppress(FirsthandError, OSError), self._making:  # opening it will tell
            make_proxy(episode)

    def signals(self, id: str) -> Path:
        """The file of lanes and joints the player draws, made when its inputs changed."""
        episode = self.episode(id)
        proxy = find_proxy(episode)
        if proxy is None:
            raise FirsthandError(f"{id} has no proxy yet; open it in Review")
        derived = [episode.hands_path, *(episode.actions_path(robot) for robot in episode.robots())]
        newest = max((path.stat().st_mtime_ns for path in derived if path.exists()), default=0)
        key = hashlib.sha256(f"{recording_key(episode)} {newest} {len(derived)}".encode()).hexdigest()[:16]
        path = cache_folder(episode) / f"signals-{key}.bin"
        if not path.exists():
            for old in path.parent.glob("signals-*.bin"):
                old.unlink(missing_ok=True)
            scale = proxy.width_px / proxy.source_width_px, proxy.height_px / proxy.source_height_px
            with whole_file(path) as part:
                part.write_bytes(episode_signals(episode, proxy.n_frames, scale))
        return path

    def suggestions(self, id: str) -> dict[str, list[dict[str, Any]]]:
        """Suggested segments by tier, as plain JSON; none where there are no hands."""
        episode = self.episode(id)
        proxy = find_proxy(episode)
        if proxy is None or not episode.hands_path.exists():
            return {}
        with suppress(FirsthandError):  # the signals say what is wrong with the file
            hands = read_hands(episode.hands_path)
            if len(hands.t_ns) == proxy.n_frames > 1:
                pts_s = proxy.pts_s()
                tiers = suggest_segments(hands, (len(pts_s) - 1) / (pts_s[-1] - pts_s[0]))
                return {tier: [vars(segment) for segment in tiers[tier]] for tier in TIERS if tier in tiers}
        return {}

    def player_data(self, opened: Opened, where: Filter) -> dict[str, Any]:
        """What the player is given to show and edit an episode."""
        id = opened.row.id
        read, base = self.tokens.mint("read", id), f"{PREFIX}/{id}"
        document = opened.saved.annotation.to_json()
        if opened.saved.state == "new" and not document["episode"]["instruction"]:
            document["episode"]["instruction"] = opened.row.task
        return {
            "episode": id, "frames": opened.proxy.n_frames, "width": opened.proxy.width_px, "height": opened.proxy.height_px,
            "urls": {name: f"{base}/{name}?token={read}" for name in ("video", "pts", "signals")}
            | {name: f"{base}/{name}" for name in ("save", "submit")},
            "token": self.tokens.mint("write", id, self.author), "version": opened.saved.version, "state": opened.saved.state,
            "doc": document, "suggestions": self.suggestions(id), "labels": list(LABELS), "flags": list(FLAGS), "tiers": list(TIERS),
            "next": self._next(id, where),
        }  # fmt: skip

    def _next(self, id: str, where: Filter) -> dict[str, Any] | None:
        """How the player asks for the episode after this one, ahead of time."""
        next = after(self.store, id, where)
        if next is None:
            return None
        return {"episode": next, "url": f"{PREFIX}/{next}/open", "token": self.tokens.mint("write", next, self.author),
                "filter": vars(where)}  # fmt: skip

    @cached_property
    def title(self) -> str:
        """What to call the library."""
        return self.library.name


_desk: Desk | None = None
_opening = threading.Lock()


def open_desk(library: Path) -> Desk:
    """Open a library for this process; every page and route works at it from then on."""
    global _desk
    with _opening:
        if _desk is None or _desk.library != library.expanduser().resolve():
            desk = Desk(library)
            desk.look()
            _desk = desk
        return _desk


def current_desk() -> Desk | None:
    """The open library: what was opened last, else what the environment names, else None.

    Raises `FirsthandError` when the environment names one that cannot be opened.
    """
    if _desk is None and os.environ.get(LIBRARY_VARIABLE):
        return open_desk(Path(os.environ[LIBRARY_VARIABLE]))
    return _desk


def _no_library(library: Path) -> Store:
    raise FirsthandError(f"no library at {library}; give the folder that 'firsthand record' or 'firsthand import' wrote to")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return "annotator"
