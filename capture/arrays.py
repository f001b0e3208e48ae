"""Arrays inside frozen values: checked once, then read-only."""

from typing import Any

import numpy as np
import numpy.typing as npt


def frozen(owner: str, array: npt.ArrayLike, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> np.ndarray[Any, Any]:
    """Return a read-only copy of `array` as `dtype`, or say which field has the wrong shape.

    `owner` names the field in the message; None in `shape` allows any length.
    """
    value = np.array(array, dtype=dtype, order="C")
    if value.ndim != len(shape) or any(want is not None and got != want for got, want in zip(value.shape, shape, strict=True)):
        wanted = ", ".join("N" if want is None else str(want) for want in shape)
        raise ValueError(f"{owner} must have shape ({wanted}{',' if len(shape) == 1 else ''}), got {value.shape}")
    value.setflags(write=False)
    return value


def set_frozen(instance: object, field: str, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> None:
    """Replace one array field of a frozen dataclass by its checked, read-only copy."""
    value = frozen(f"{type(instance).__name__}.{field}", getattr(instance, field), dtype, shape)
    object.__setattr__(instance, field, value)
