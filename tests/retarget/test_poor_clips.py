"""What cannot be tracked well ends with findings and without made-up hands."""


import numpy as np
import pytest

from firsthand.capture.library import Episode
from firsthand.capture.recorder import record
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.hand_track import ABSENT, Hands
from firsthand.retarget.hands_stage import make_hands

CLIPS = {
    "nobody": ({"task": "nobody"}, "no hand was seen in any of the"),
    "one hand": ({"task": "alone"}, "hand was seen in"),
    "hidden": ({"task": "hidden"}, "the left hand"),
    "upside down": ({"task": "pick-and-place", "roll_deg": 180.0}, "it is upside down"),
    "visited": ({"task": "visitor"}, "another person's hands"),
}


@pytest.fixture(scope="module", params=list(CLIPS))
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hands, Wearer, np.ndarray, str]:
    """Three seconds at 10 fps: hands, the wearer, the truth's row of each frame, and what a finding must say."""
    options, words = CLIPS[request.param]
    episode = Episode(tmp_path_factory.mktemp("library") / "session" / "000")
    wearer = Wearer(seed=1, duration_s=3.0, fps=10, skin=1, **options)  # type: ignore[arg-type]
    record(wearer.drivers(), episode.recording_path, source="simulation")
    with episode.recording() as recording:
        rows = np.array(recording["head"].sequence)
    return make_hands(episode, workers=1), wearer, rows, words


def test_a_finding_says_so(clip: tuple[Hands, Wearer, np.ndarray, str]) -> None:
    hands, _, _, words = clip
    assert any(words in finding for finding in hands.findings), hands.findings


def test_no_hand_is_made_up(clip: tuple[Hands, Wearer, np.ndarray, str]) -> None:
    """Every frame of a track lies on the wearer's hand of that side; what is absent is NaN in every array, and never zero."""
    hands, wearer, rows, _ = clip
    for side, track in hands.tracks.items():
        true = wearer.truth().hands[side].points_px[rows]
        palm = np.linalg.norm(true[:, 9] - true[:, 0], axis=1)
        off = np.linalg.norm(track.points_px - true, axis=-1).mean(1) / palm
        assert (off[track.valid] < 1).all(), side
        absent = (track.provenance == ABSENT).all(1)
        assert (absent == ~track.valid).all()
        assert all(np.isnan(a[absent]).all() and np.isfinite(a[~absent]).all() and (a[~absent] != 0).any()
                   for a in (track.points_m, track.points_px, track.local_m, track.sigma_m, track.score))
        assert (track.metric[absent] == 0).all()
