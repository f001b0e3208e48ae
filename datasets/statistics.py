"""Minimum, maximum, mean, spread and quantiles of columns and pictures, as policies normalise with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Stats = Mapping[str, Floats]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def column_stats(values: npt.NDArray[Any]) -> Stats:
    """Statistics of N rows of C columns, shape (N, C) or (N,): each of shape (C,), and ``count`` of shape (1,). Exact, in float64."""
    table = values.reshape(len(values), -1)
    one = [_one_column(table[:, c].astype(np.float64)) for c in range(table.shape[1])]  # a column at a time bounds the memory
    return {**{name: np.array([column[name] for column in one]) for name in one[0]}, "count": np.array([len(values)])}


def _one_column(x: Floats) -> dict[str, float]:
    mean = float(x.mean())
    return {"min": float(x.min()), "max": float(x.max()), "mean": mean, "std": float(np.sqrt(np.mean((x - mean) ** 2))),
            **dict(zip(QUANTILES, map(float, np.quantile(x, list(QUANTILES.values()))), strict=True))}


def picture_histogram(picture_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """How often each value occurs, per channel in RGB order, shape (3, 256); histograms of frames add up."""
    import cv2

    return np.stack([cv2.calcHist([picture_bgr], [c], None, [256], [0, 256]).reshape(-1) for c in (2, 1, 0)]).astype(np.int64)


def picture_stats(histogram: npt.NDArray[np.int64], frames: int) -> Stats:
    """Statistics of every pixel of `frames` pictures scaled to 0..1, each of shape (3, 1, 1), and ``count`` = `frames`.

    From a histogram they are exact; a quantile is the smallest value that at least that share of the pixels does not exceed.
    """
    value = np.arange(256) / 255.0
    share = histogram / histogram.sum(1, keepdims=True)
    mean = share @ value
    std = np.sqrt(np.maximum(share @ value**2 - mean**2, 0.0))
    present = histogram > 0
    low, high = value[present.argmax(1)], value[255 - present[:, ::-1].argmax(1)]
    cumulative = np.cumsum(share, axis=1)
    quantiles = {name: value[(cumulative < q - 1e-12).sum(1).clip(0, 255)] for name, q in QUANTILES.items()}
    found = {"min": low, "max": high, "mean": mean.clip(0, 1), "std": std, **quantiles}
    return {**{name: v.reshape(3, 1, 1) for name, v in found.items()}, "count": np.array([frames])}


def as_json(stats: Mapping[str, Stats]) -> dict[str, dict[str, Any]]:
    """Statistics by feature as nested lists."""
    return {feature: {name: value.tolist() for name, value in values.items()} for feature, values in stats.items()}
