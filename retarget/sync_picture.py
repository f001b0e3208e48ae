"""A calibration to look at: for each pair the two signals as recorded, with the lag taken off, and how well they agree at each lag."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.capture.lag import LAG_S
from firsthand.capture.motion import STEP_S, Motion, band, on_grid
from firsthand.retarget.sync_stage import TURNING, Pair, Sync

Floats = npt.NDArray[np.float64]

SHOWN_S = 3.0
_BLUE, _ORANGE, _GREY, _RED = "#1f5f99", "#d9730d", "#8a8a8a", "#b3261e"


def draw_sync(sync: Sync, path: Path) -> None:
    """Write a PNG. Raises `FirsthandError` where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FirsthandError(f"the picture of a calibration cannot be drawn ({error}); pip install 'firsthand[hands]'") from error
    pairs = [pair for pair in sync.pairs if pair.signals is not None]
    figure = Figure(figsize=(15, 0.6 + 2.5 * max(len(pairs), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Time between streams, against {sync.reference}", x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes = figure.subplots(max(len(pairs), 1), 3, squeeze=False, width_ratios=(2, 2, 1.3))
    for row, pair in zip(axes, pairs, strict=False):
        _draw(row, pair)
    if not pairs:
        axes[0, 0].text(0.5, 0.5, "no movement was compared", ha="center", transform=axes[0, 0].transAxes)
    with whole_file(path) as part:
        figure.savefig(part, dpi=90, format="png")


def _draw(row: "npt.NDArray[np.object_]", pair: Pair) -> None:
    lag = pair.lag
    names = [f"{name} ({label})" if label and pair.method != TURNING else name
             for name, label in zip((pair.first, pair.second), pair.labels, strict=True)]  # fmt: skip
    shown = _signals(pair)
    for axis, what, curves in zip(row[:2], ("as recorded", "lag taken off"), shown or (None, None), strict=True):
        axis.set_yticks([])
        axis.set_title(what if curves is not None or what == "as recorded" else "no lag to take off", loc="left", fontsize=9, color=_GREY)
        if curves is not None:
            t_s, first, second = curves
            axis.plot(t_s, first, color=_BLUE, lw=1.6, label=names[0])
            axis.plot(t_s, second, color=_ORANGE, lw=1.2, label=names[1])
            axis.set_xlim(t_s[0], t_s[-1])
        axis.tick_params(labelsize=8)
    if shown:
        row[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False, borderaxespad=0)
    row[0].set_xlabel("s", fontsize=8, loc="right")
    curve = row[2]
    if len(lag.curve):
        near = np.abs(lag.curve_s) <= 2 * LAG_S
        curve.plot(lag.curve_s[near] * 1e3, lag.curve[near], color=_GREY, lw=1.2)
        curve.set_ylim(0, 1.02)
        curve.set_xlabel("lag, ms", fontsize=8, loc="right")
    curve.tick_params(labelsize=8)
    if lag.lag_ns is not None:
        curve.axvline(lag.lag_ns * 1e-6, color=_RED if lag.problem else _BLUE, lw=1)
    told = "refused" if lag.problem or lag.lag_ns is None else f"{lag.lag_ns * 1e-6:+.2f} ± {(pair.error_ns or 0) * 1e-6:.2f} ms"
    curve.set_title(f"{pair.method}: {told}", loc="left", fontsize=10, color=_RED if lag.problem else "black")
    if lag.problem:
        row[0].text(0.005, 0.02, _folded(lag.problem), transform=row[0].transAxes, fontsize=8, color=_RED, va="bottom",
                    bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1})


def _folded(sentence: str) -> str:
    from textwrap import fill

    return fill(sentence, 88)


def _signals(pair: Pair) -> tuple[tuple[Floats, Floats, Floats], ...] | None:
    """Seconds and both signals, before and after; where the movement is liveliest. None where the two share nothing."""
    assert pair.signals is not None
    first, second = pair.signals
    seen = [m.t_ns[m.seen] for m in (first, second)]
    if min(len(t) for t in seen) < 2 or pair.lag.lag_ns is None:
        return None
    start, stop = max(t[0] for t in seen), min(t[-1] for t in seen)
    if stop - start < 2e9:
        return None
    i, k = pair.lag.pairs[0] if pair.lag.pairs else (0, 0)
    lag_ns = pair.lag.lag_ns
    a = band(on_grid(first, int(start), int(stop)))
    later = Motion(second.name, second.t_ns - lag_ns, second.values)
    b, b_late = (band(on_grid(m, int(start), int(stop))) for m in (later, second))
    if pair.method == TURNING:  # whatever the mounting: the axis that turns most, and what the other's axes make of it
        i = int(np.argmax(np.var(a.values, 0)))
        weights, *_ = np.linalg.lstsq(b.values[a.known & b.known], a.values[a.known & b.known, i], rcond=None)
    else:
        weights = np.zeros(second.values.shape[1])
        both = a.known & b.known
        weights[k] = (a.values[both, i] @ b.values[both, k]) / max(float((b.values[both, k] ** 2).sum()), 1e-30)
    length = min(int(SHOWN_S / STEP_S), len(a.known))
    power = np.convolve(a.values[:, i] ** 2 * (a.known & b.known), np.ones(length), "valid")
    part = slice(int(np.argmax(power)), int(np.argmax(power)) + length)
    t_s = np.arange(len(a.known), dtype=np.float64)[part] * STEP_S
    target = np.asarray(np.where(a.known, a.values[:, i], np.nan)[part], np.float64)
    out = [np.asarray(np.where(g.known, g.values @ weights, np.nan)[part], np.float64) for g in (b_late, b)]
    return (t_s, target, out[0]), (t_s, target, out[1])
