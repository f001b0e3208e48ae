"""Numbers in text, as strictly as devices write them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def numbers(items: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """The items as finite numbers; None when one is anything else. Blanks around them are allowed, what only Python would read is not."""
    try:
        values = np.array([float(item) for item in items])
    except ValueError:
        return None
    return values if np.isfinite(values).all() and not any("_" in item for item in items) else None
