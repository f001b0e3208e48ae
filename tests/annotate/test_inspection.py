"""What a person looks at to judge hand tracking: the video keeps the recording's times, and absent hands are not drawn."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from firsthand.annotate.inspection import inspect
from firsthand.annotate.overlay_video import coverage_bars, draw_frame, in_words, overlay_video
from firsthand.annotate.plot_sheet import plot_sheet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode, find_episodes
from firsthand.retarget.hand_track import read_hands


@pytest.fixture
def episode(tiny_library: Path) -> Episode:
    return find_episodes(tiny_library)[0]


def test_the_video_has_the_recordings_frames_and_times(episode: Episode, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    overlay_video(episode, tmp_path / "look.mp4", lambda *step: done.append(step))
    with av.open(str(tmp_path / "look.mp4")) as container:
        frames = list(container.decode(video=0))
    times = [frame.time - frames[0].time for frame in frames]
    t_ns = read_hands(episode.hands_path).t_ns
    np.testing.assert_allclose(times, (t_ns - t_ns[0]) * 1e-9, atol=2e-5)
    assert done[-1] == (48, 48) and frames[0].width >= 480  # small pictures are made large enough for the words


def test_hands_are_drawn_where_they_are_known_and_only_there(episode: Episode) -> None:
    hands = read_hands(episode.hands_path)
    for i, drawn in ((5, True), (11, False)):  # frames 10 to 13 are absent
        picture = np.zeros((240, 320, 3), np.uint8)
        draw_frame(picture, hands, i, 2.0)
        assert picture.any() == drawn
    middle = hands.tracks["right"].points_px[5, 9] * 2
    picture = np.zeros((240, 320, 3), np.uint8)
    draw_frame(picture, hands, 5, 2.0)
    x, y = np.rint(middle).astype(int)
    assert picture[y - 3 : y + 4, x - 3 : x + 4].any()


def test_words_and_bars_tell_what_is_absent(episode: Episode) -> None:
    hands = read_hands(episode.hands_path)
    assert in_words(hands, "right", 5).startswith("measured, mono scaled, 0.4") and in_words(hands, "right", 5).endswith("sigma 10 mm")
    assert in_words(hands, "right", 11) == in_words(hands, "left", 5) == "absent"
    bars = coverage_bars(hands, 16 + 48).astype(int)
    right = bars[-4]
    assert (np.ptp(right[10:14], axis=1) == 0).all() and (np.ptp(right[[3, 20]], axis=1) > 100).all()
    assert (np.ptp(bars[2], axis=1) == 0).all()


def test_a_sheet_is_drawn_also_where_no_hand_was_seen(episode: Episode, tmp_path: Path) -> None:
    hands = read_hands(episode.hands_path)
    for name, shown in (("hand", hands), ("none", replace(hands, tracks={}, findings=("no hand was seen",)))):
        plot_sheet(shown, "a title", tmp_path / f"{name}.png")
        picture = cv2.imread(str(tmp_path / f"{name}.png"))
        assert picture is not None and picture.shape[1] > 1000
    assert not np.array_equal(cv2.imread(str(tmp_path / "hand.png"))[:400], cv2.imread(str(tmp_path / "none.png"))[:400])


def test_an_inspection_says_where_its_pictures_are(episode: Episode, tmp_path: Path) -> None:
    found = inspect(episode, tmp_path / "look", video=False)
    assert found.video is None and found.sheet is not None and found.sheet.exists()
    assert found.to_json()["hands"][0]["seen"] == 44


def test_what_was_not_tracked_says_what_to_do(episode: Episode, tmp_path: Path) -> None:
    episode.hands_path.unlink()
    with pytest.raises(FirsthandError, match="run 'firsthand process' first"):
        inspect(episode, tmp_path)
