"""One HTML page about a library's episodes, for people: pictures, signals, figures. Self-contained: no script, nothing from outside."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.annotate.annotation import read_annotation
from firsthand.annotate.chart import Line, chart
from firsthand.annotate.contact_sheet import episode_frames, label_at
from firsthand.capture.files import whole_file
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP, WRIST
from firsthand.capture.summary import summarise
from firsthand.retarget.action_track import read_actions
from firsthand.retarget.hand_track import Hands, read_hands

STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:#1d2733;font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:28px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 12px}p{margin:4px 0 12px;color:#4a5868}
section{background:#fff;border:1px solid #dfe5ea;border-radius:10px;padding:20px 24px;margin:18px 0}
section>h2{margin-top:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:#4a5868;font-size:13px}th,td{padding:6px 10px;border-bottom:1px solid #edf0f3}
td.n,th.n{text-align:right}
.ok,.bad{display:inline-block;min-width:46px;text-align:center;border-radius:9px;font-size:12px;font-weight:600;padding:1px 8px}
.ok{background:#dff3e4;color:#14672f}.bad{background:#fbe0dd;color:#98231a}
.frames{display:grid;grid-template-columns:repeat(4,1fr);gap:10px}figure{margin:0}
figure img{width:100%;border-radius:6px;display:block}figcaption{font-size:12px;color:#6a7786;padding-top:2px}
.tags span{display:inline-block;background:#eaf0f6;border-radius:9px;padding:1px 9px;margin:0 6px 6px 0;font-size:13px}
.note{background:#fff6df;border-radius:6px;padding:6px 10px;margin:6px 0}svg{width:100%;height:auto;display:block;margin-top:8px}
"""


def write_report(path: Path, title: str, intro: str, episodes: Sequence[Episode], *, figures: Sequence[Mapping[str, Any]] = (),
                 places: Mapping[str, str] | None = None, robot: str | None = None) -> None:
    """Write the page. `figures` are rows {name, value, unit, goal, at_least, ok}; `places` says what lies where."""
    parts = [f"<h1>{_text(title)}</h1><p>{_text(intro)}</p>"]
    if figures:
        parts.append(f"<section><h2>Error budget</h2>{_figures(figures)}</section>")
    parts += [_episode(episode, robot) for episode in episodes]
    if places:
        rows = "".join(f"<tr><td>{_text(what)}</td><td><code>{_text(where)}</code></td></tr>" for what, where in places.items())
        parts.append(f"<section><h2>Where everything lies</h2><table>{rows}</table></section>")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_text(title)}</title><style>{STYLE}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")


def _text(value: object) -> str:
    return html.escape(str(value))


def _figures(figures: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for f in figures:
        goal, mark = "", ""
        if f["goal"] is not None:
            goal = f"{'at least' if f['at_least'] else 'at most'} {f['goal']:g}"
            mark = '<span class="ok">met</span>' if f["ok"] else '<span class="bad">missed</span>'
        value = f"{f['value']:.4g} {_text(f['unit'])}"
        rows.append(f'<tr><td>{_text(f["name"])}</td><td class="n">{value}</td><td>{goal}</td><td>{mark}</td></tr>')
    return f'<table><tr><th>what</th><th class="n">measured</th><th>goal</th><th></th></tr>{"".join(rows)}</table>'


def _episode(episode: Episode, robot: str | None) -> str:
    annotation = read_annotation(episode.annotations_path)
    with episode.recording() as recording:
        summary = summarise(recording)
    title = (annotation.instruction if annotation else "") or summary["task"] or episode.id
    hands = read_hands(episode.hands_path) if episode.hands_path.exists() else None
    tags = [episode.id, summary["source"], f"{summary['duration_s']:.1f} s"]
    if annotation and annotation.success is not None:
        tags.append("success" if annotation.success else "failure")
    tags += [f"{side} hand {np.mean(track.valid):.1%}" for side, track in (hands.tracks.items() if hands else ())]
    notes = "".join(f'<div class="note">{_text(finding)}</div>' for finding in (hands.findings if hands else ()))
    pictures = "".join(_figure(image, f"frame {i}  {label_at(annotation, i)}") for i, image in episode_frames(episode, 8, robot))
    plots = _plots(episode, hands, robot) if hands else ""
    chips = "".join(f"<span>{_text(tag)}</span>" for tag in tags)
    return (f'<section><h2>{_text(title)}</h2><div class="tags">{chips}</div>{notes}<div class="frames">{pictures}</div>{plots}'
            f'<h2>Streams</h2>{_streams(summary["streams"])}</section>')


def _streams(streams: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f'<th class="n">{name}</th>' for name in ("samples", "Hz", "missing", "drift ppm"))
    rows = []
    for s in streams:
        figures = (str(s["samples"]), _number(s["rate_hz"]), str(s["missing"]), _number(s["drift_ppm"]))
        cells = "".join(f'<td class="n">{figure}</td>' for figure in figures)
        rows.append(f'<tr><td>{_text(s["name"])}</td><td>{_text(s["carries"])}</td>{cells}</tr>')
    return f'<table><tr><th>stream</th><th>carries</th>{head}</tr>{"".join(rows)}</table>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _figure(image: np.ndarray[Any, Any], caption: str) -> str:
    import cv2

    small = cv2.resize(image, (320, round(320 * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()).decode()
    return f'<figure><img alt="{_text(caption)}" src="data:image/jpeg;base64,{data}"><figcaption>{_text(caption)}</figcaption></figure>'


def _plots(episode: Episode, hands: Hands, robot: str | None) -> str:
    t_s = (hands.t_ns - hands.t_ns[0]) * 1e-9 if len(hands.t_ns) else np.zeros(0)
    if len(t_s) < 3 or not hands.tracks:
        return ""
    colours = {"left": "#2f7fd6", "right": "#e07b1f"}
    apertures, speeds = [], []
    for side, track in hands.tracks.items():
        gap_mm = np.linalg.norm(track.points_m[:, THUMB_TIP] - track.points_m[:, INDEX_TIP], axis=1) * 1e3
        speed = np.linalg.norm(np.gradient(track.points_m[:, WRIST], t_s, axis=0), axis=1)
        apertures.append(Line(f"{side} thumb to index", gap_mm, colours[side]))
        speeds.append(Line(f"{side} wrist", speed, colours[side]))
    if robot and episode.actions_path(robot).exists():
        actions = read_actions(episode.actions_path(robot))
        if actions.kind == "gripper":
            apertures += [Line(f"{robot} {s}", a.joints[:, 0] * 1e3, colours[s], dashed=True) for s, a in actions.tracks.items()]
    annotation = read_annotation(episode.annotations_path)
    spans = [(s.a, s.b, s.text or s.label) for s in annotation.tiers.get("subtask", ())] if annotation else []
    return chart("Aperture, mm", t_s, apertures, spans) + chart("Wrist speed, m/s", t_s, speeds, spans)
