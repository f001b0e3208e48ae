"""An episode's hands on one sheet: where the wrists were, how fast, how open, how sure, how known."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.annotate.motion import aperture, rate
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.capture.skeleton import SIDES, WRIST, Side
from firsthand.retarget.hand_track import ABSENT, METRIC, PROVENANCE, Hands, HandTrack
from firsthand.retarget.quality import assess

Floats = npt.NDArray[np.float64]

COLOURS: dict[Side, str] = {"left": "#2a78c2", "right": "#e0801f"}
"""As in the pictures: apart for colour-blind eyes too."""
CODE_COLOURS = ("#dddddd", "#3a3a3a", "#2a9d4a", "#6a4fb3", "#e9c46a", "#d98cb3", "#c1272d")
"""Of absent, measured, glove, fused, interpolated, predicted, fixed."""
_AXES = ("x", "y", "z")


def plot_sheet(hands: Hands, title: str, path: Path) -> None:
    """Write a PNG. Nothing is drawn where a hand is absent. Raises `FirsthandError` where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FirsthandError(f"the plot sheet cannot be drawn ({error}); pip install 'firsthand[hands]'") from error
    figure = Figure(figsize=(14, 12), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes: Any = figure.subplots(7, 1, sharex=True, height_ratios=(1, 1, 1, 1, 1, 1, 0.75))
    t_s = np.asarray((hands.t_ns - hands.t_ns[:1]) * 1e-9, np.float64)
    for side, track in hands.tracks.items():
        _draw(axes, t_s, track, COLOURS[side])
    labels = [f"wrist {axis}, m" for axis in _AXES] + ["wrist speed, m/s", "thumb to index, mm", "sigma, mm"]
    for axis, label in zip(axes, labels, strict=False):
        axis.set_title(label, loc="left", fontsize=9)
        axis.grid(alpha=0.25)
        axis.margins(x=0)
    for axis in axes[3:6]:
        axis.set_ylim(bottom=0)
    _draw_codes(axes[6], t_s, hands)
    _legend(figure, axes, hands)
    with whole_file(path) as part:
        figure.savefig(part, dpi=80, format="png")


def _draw(axes: Any, t_s: Floats, track: HandTrack, colour: str) -> None:
    wrist = track.points_m[:, WRIST]
    for k in range(3):
        if track.raw_m is not None:
            axes[k].plot(t_s, track.raw_m[:, WRIST, k], color=colour, lw=0.6, alpha=0.45)
        axes[k].plot(t_s, wrist[:, k], color=colour, lw=1.3)
    axes[3].plot(t_s, np.linalg.norm(rate(wrist, t_s), axis=1), color=colour, lw=1.1)
    axes[4].plot(t_s, aperture(track) * 1e3, color=colour, lw=1.1)
    axes[5].plot(t_s, np.median(track.sigma_m, 1) * 1e3, color=colour, lw=1.1)


def _draw_codes(axis: Any, t_s: Floats, hands: Hands) -> None:
    """A band a hand for how its wrist is known, and one for where its distance comes from."""
    from matplotlib.colors import ListedColormap

    rows, names = [], []
    for side in SIDES:
        track = hands.tracks.get(side)
        rows.append(np.full(len(t_s), ABSENT) if track is None else track.provenance[:, WRIST])
        names.append(f"{side} ({0 if track is None else track.valid.mean():.0%})")
    edges = np.append(t_s, t_s[-1:] + (t_s[-1] - t_s[-2] if len(t_s) > 1 else 1)) if len(t_s) else np.zeros(1)
    if len(t_s):
        axis.pcolormesh(edges, np.arange(len(rows) + 1), np.array(rows), cmap=ListedColormap(CODE_COLOURS), vmin=-0.5,
                        vmax=len(PROVENANCE) - 0.5)
    axis.set_yticks(np.arange(len(rows)) + 0.5, names, fontsize=9)
    axis.invert_yaxis()
    axis.set_xlabel("s", loc="right", fontsize=9)
    axis.set_title("how the wrist is known, and coverage", loc="left", fontsize=9)


def _legend(figure: Any, axes: Any, hands: Hands) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    used = {int(code) for track in hands.tracks.values() for code in np.unique(track.provenance[:, WRIST])} | {ABSENT}
    codes = [Patch(color=CODE_COLOURS[code], label=PROVENANCE[code]) for code in sorted(used)]
    sides = [Line2D([], [], color=COLOURS[side], label=side) for side in hands.tracks]
    if any(track.raw_m is not None for track in hands.tracks.values()):
        sides.append(Line2D([], [], color="grey", lw=0.6, label="before smoothing"))
    figure.legend(handles=[*sides, *codes], loc="outside upper right", ncols=8, frameon=False, fontsize=9)
    lines = [f"{q.side}: seen {q.seen}/{q.frames}, filled {q.interpolated}, longest gap {q.longest_gap_s:.1f} s, jumps {q.jumps}, "
             f"bones ±{q.bone_spread:.1%}, distance by " + ", ".join(f"{name} {n}" for name, n in q.distances.items() if name in METRIC)
             for q in assess(hands)]  # fmt: skip
    notes = "\n".join([f"poses in the {hands.frame}'s frame", *lines, *(f"note: {finding}" for finding in hands.findings)])
    axes[-1].annotate(notes, (0, 0), (0, -34), xycoords="axes fraction", textcoords="offset points", va="top", fontsize=9, color="#444444")
