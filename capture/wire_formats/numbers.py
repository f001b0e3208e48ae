"""Numbers in text, as strictly as devices write them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LARGEST = 1e9
"""No place, angle or share is beyond; and squares of such numbers can be added without a care."""


def numbers(items: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """The items as numbers, none beyond `LARGEST`; None when one is anything else. Blanks may be around them; what only Python would read
    is none."""
    try:
        values = np.array([float(item) for item in items])
    except ValueError:
        return None
    return values if (np.abs(values) <= LARGEST).all() and not any("_" in item for item in items) else None
