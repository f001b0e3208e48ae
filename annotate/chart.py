"""A small line chart as SVG text: signals over an episode, with its segments behind them."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1060, 190, 46, 8, 34, 22
BANDS = ("#eef3f8", "#e3ebf3")


@dataclass(frozen=True, eq=False)
class Line:
    """One signal of a chart; NaN breaks the line."""

    name: str
    values: npt.NDArray[np.float64]
    """Shape (N,)."""
    colour: str
    dashed: bool = False


def chart(title: str, t_s: npt.NDArray[np.float64], lines: Sequence[Line], spans: Sequence[tuple[int, int, str]] = ()) -> str:
    """An SVG chart of lines over time `t_s` (N,); `spans` (first frame, end frame, label) are bands behind them."""
    known = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    top = _ceiling(float(np.quantile(known, 0.995))) if len(known) else 1.0
    end = float(t_s[-1]) or 1.0

    def x(t: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * t / end

    def y(v: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(v, top) / top

    parts = [f'<text x="{LEFT}" y="14" font-weight="600">{html.escape(title)}</text>']
    for k, (a, b, label) in enumerate(spans):
        x0, x1 = x(t_s[a]), x(t_s[min(b, len(t_s) - 1)])
        size = f'width="{max(x1 - x0, 1):.1f}" height="{HEIGHT - TOP - BOTTOM + 12}"'
        parts.append(f'<rect x="{x0:.1f}" y="{TOP - 12}" {size} fill="{BANDS[k % 2]}"/>')
        if x1 - x0 > 7 * len(label):
            parts.append(f'<text x="{x0 + 4:.1f}" y="{TOP - 1}" fill="#6a7786">{html.escape(label)}</text>')
    parts += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#d5dce3"/>'
              f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end" fill="#6a7786">{v:.3g}</text>' for v in np.linspace(0, top, 3)]
    parts += [f'<text x="{x(t):.1f}" y="{HEIGHT - 6}" text-anchor="middle" fill="#6a7786">{t:g} s</text>'
              for t in np.arange(0, end, _ceiling(end / 10))]
    legend = WIDTH - RIGHT
    for line in reversed(lines):
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        legend -= 22 + 7 * len(line.name)
        parts.append(f'<line x1="{legend}" x2="{legend + 16}" y1="10" y2="10" stroke="{line.colour}" stroke-width="2"{dash}/>'
                     f'<text x="{legend + 20}" y="14" fill="#4a5868">{html.escape(line.name)}</text>')
        parts.append(f'<path d="{_path(t_s, line.values, x, y)}" fill="none" stroke="{line.colour}" stroke-width="1.8"{dash}/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" font-family="inherit" role="img">{"".join(parts)}</svg>'


def _path(t_s: npt.NDArray[np.float64], values: npt.NDArray[np.float64], x: object, y: object) -> str:
    assert callable(x) and callable(y)
    words, pen = [], False
    for t, v in zip(t_s, values, strict=True):
        if np.isfinite(v):
            words.append(f"{'L' if pen else 'M'}{x(float(t)):.1f} {y(float(v)):.1f}")
        pen = bool(np.isfinite(v))
    return "".join(words)


def _ceiling(value: float) -> float:
    """The next number up of 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= value * 0.999))
