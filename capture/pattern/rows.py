"""The numbers of a pattern device: a known function of a sample's number, exact in binary."""

import numpy as np
import numpy.typing as npt

PERIOD = 512


def pattern_rows(sequence: npt.ArrayLike, columns: int) -> npt.NDArray[np.float64]:
    """The values of samples, shape (N, `columns`) for sequences (N,): what a recording of them must hold, bit for bit.

    Column 0 is the sequence over 2^20; column c rises and falls between 0 and 1 every 512 / c samples or so.
    """
    n = np.asarray(sequence, np.int64)[:, None]
    c = np.arange(columns)
    saw = (n * c + 37 * c) % PERIOD
    values = np.abs(2 * saw / PERIOD - 1)
    values[:, 0] = n[:, 0] / 2**20
    return np.asarray(values, np.float64)
