"""What a take must be like to be worth keeping, as numbers the coach watches while it is recorded."""

from dataclasses import dataclass
from typing import Literal, get_args

Gate = Literal["lens", "exposure", "head-speed", "blur", "hands", "hands-cut", "hands-near", "glove", "idle"]
GATES: tuple[Gate, ...] = get_args(Gate)

EXPLAINS: dict[Gate, tuple[Gate, ...]] = {
    "lens": ("exposure", "head-speed", "blur", "hands", "hands-cut", "hands-near", "idle"),
    "exposure": ("blur", "hands", "idle"),
    "head-speed": ("blur", "hands", "hands-cut"),
    "blur": ("hands",),
    "hands-near": ("hands-cut",),
}
"""A fault hides those that follow from it: who covered the lens is told so, not that no hand is in view."""


@dataclass(frozen=True)
class Gates:
    """The limits. They are held against real and synthetic footage, good and spoilt, in ``tests/capture/coach``."""

    raise_s: float = 1.5
    """A fault must last so long before it is told: reaching aside, a glance up and a passing shadow are no faults."""
    clear_s: float = 2.0
    """And be gone so long before it is taken back: no flapping at the limit."""

    hands_s: float = 5.0
    """Hands are judged over so long: a task has moments without any."""
    hands_least: float = 0.4
    """Share of the looks with a hand in view. Trackers find a hand in about 86 % of good two-hand footage; half of that is a fault."""
    hand_score_least: float = 0.3
    """A detection below is none; it is the tracker's own threshold."""
    cut_points: int = 3
    """A hand with so many of its 16 finger points outside is cut. One or two are an uncertain little finger; the wrist may be outside,
    as the arm comes in from there."""
    cut_most: float = 0.5
    """Share of the looks with a hand in which one is cut."""
    near_most: float = 0.35
    """Length of the palm (wrist to middle knuckle, 9 cm) over the picture's width. At 75 degrees across this is 17 cm from the camera:
    nearer, depth sensors see nothing and a hand that opens leaves the picture."""

    detail_least: float = 0.45
    """Fine over coarse detail (see `look.detail`). Sharp pictures of five cameras have 0.60 to 0.76, noisy or not; smeared over 0.6 %
    of the width (a Gaussian of 4 pixels in 640) they have 0.33 to 0.37, over 0.3 % 0.50 to 0.54. The variance of the Laplacian would
    not do: sensor noise on a blurred picture raises it ten- to thirtyfold."""
    detail_fall: float = 0.72
    """Or: below this share of what the same scene had; its own content changes it by a tenth."""
    detail_memory_s: float = 20.0
    """What the same scene had: the best tenth of the last so many seconds."""
    texture_least: float = 4.0
    """Mean square of the coarse detail, in squared grey levels: a bare wall has less, and nothing is said of its sharpness."""

    dark_most: float = 45.0
    """Mean grey level below which a picture is too dark: good ones have 88 to 131; at 45 noise costs the tracker fingers."""
    clipped_most: float = 0.25
    """Share of grey levels above 250: a window or a lamp takes up to a tenth or so."""

    covered_grey: float = 12.0
    """Mean grey level of a lens under a cloth or in a case; a dark room has more."""
    covered_contrast: float = 0.1
    """Deviation over mean of the picture in 64 x 48 cells: a hand or a cap before the lens is even; tables have 0.24 and more."""

    turn_most_rad_s: float = 1.2
    """Root mean square of the head's rotation over 1.5 s. At 10 ms exposure and 75 degrees across 1280 pixels it smears by 10."""
    shift_most_widths_s: float = 0.9
    """The same seen in the picture, where there is no gyroscope: 1.2 rad/s over the 1.3 rad of the picture's width."""

    glove_silent_s: float = 1.0
    """A glove sends 60 to 120 samples a second; after a second it is gone."""
    glove_frozen_s: float = 5.0
    """All values of a glove the same to the last bit for so long: a real sensor's noise moves them."""
    glove_column_s: float = 8.0
    """One value the same for so long while others move by `glove_moves_rad`: a broken wire."""
    glove_moves_rad: float = 0.15
    """What a finger that is used moves by, at least."""

    idle_s: float = 12.0
    """Nothing moves for so long: the wearer waits, or the take was not stopped."""
    idle_grey: float = 4.0
    """The change of grey level over a second, in the most changed hundredth of 64 x 48 cells, below which a picture stands still. Noise
    makes 1 to 2."""
    idle_rad: float = 0.05
    """The change of any glove value over a second below which a hand is still."""
