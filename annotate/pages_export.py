"""Export: episodes to a training format, with what it lost and whether it is sound."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import streamlit as st

from firsthand.annotate.catalog import EpisodeRow, Filter, browse
from firsthand.annotate.desk import Desk
from firsthand.annotate.labels import REJECTED
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.plugins import names

WHICH: dict[str, Callable[[EpisodeRow], bool]] = {
    "all": lambda row: True,
    "submitted": lambda row: row.state == "submitted",
    "submitted and successful": lambda row: row.state == "submitted" and row.success is True,
}
"""What to call a choice of episodes, and whether one is in it. An episode flagged ``rejected`` never is."""


class Report(Protocol):
    """What an export says of itself."""

    episodes: int
    frames: int
    left_out: Sequence[tuple[str, str]]
    losses: Sequence[str]


class Exporter(Protocol):
    """What this page needs of the layer above: the formats, and the two verbs."""

    @property
    def FORMATS(self) -> Mapping[str, str]:
        """The known formats: name to ``"module:object"``."""

    def export(self, episodes: Sequence[Episode], out: Path, *, format: str, robot: str,
               progress: Callable[[int, int], None] | None = None) -> Any:
        """Write a dataset and report on it."""

    def validate(self, path: Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
        """What is wrong with a dataset, one sentence each."""


def page(desk: Desk, exporter: Exporter) -> None:
    """Draw the page."""
    st.title("Export")
    rows = [row for row in browse(desk.store, Filter(), limit=1_000_000)[0] if not row.problem and REJECTED not in row.flags]
    robots = sorted({robot for row in rows for robot in row.robots})
    if not robots:
        st.info("No episode has robot actions yet. Run `firsthand process LIBRARY --robot NAME` first.", icon=":material/smart_toy:")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        a, b = st.columns(2)
        format = a.selectbox("Format", names("formats", exporter.FORMATS), key="format")
        robot = b.selectbox("Robot", robots, key="robot")
        which = st.segmented_control("Episodes", list(WHICH), default="submitted", required=True, key="which") or "submitted"
        out = st.text_input("New folder for the dataset", _suggested(desk, format, robot),
                            help="Written whole or not at all; nothing is overwritten.")
    chosen = [row for row in rows if WHICH[which](row) and robot in row.robots]
    with right, st.container(border=True):
        st.text(f"{len(chosen)} of {len(rows)} episodes · {sum(row.duration_s for row in chosen) / 60:.1f} min")
        unlabelled = sum(row.state != "submitted" for row in chosen)
        if unlabelled:
            st.text(f"{unlabelled} of them not submitted by an annotator: the recorded task text is used")
        failed = sum(row.success is False for row in chosen)
        if failed:
            st.text(f"{failed} of them marked as failed")
        rejected = browse(desk.store, Filter(flag=REJECTED), limit=1)[1]
        if rejected:
            st.text(f"{rejected} flagged as rejected and left out")
    if not chosen and rows:
        st.caption(f"No episode is {which} yet: submit some in Review, or choose all.")
    if st.button("Export", type="primary", icon=":material/output:", disabled=not chosen or not out.strip()):
        _export(desk, exporter, chosen, Path(out.strip()).expanduser(), format, robot)
    _result()


def _suggested(desk: Desk, format: str, robot: str) -> str:
    stamp = st.session_state.setdefault("stamp", f"{datetime.now():%Y%m%d-%H%M}")
    return str(desk.library.parent / f"{desk.library.name}-{format}-{robot}-{stamp}")


def _export(desk: Desk, exporter: Exporter, chosen: list[EpisodeRow], out: Path, format: str, robot: str) -> None:
    st.session_state.pop("exported", None)
    bar = st.progress(0.0, "Exporting …")

    def step(word: str) -> Callable[[int, int], None]:
        return lambda done, total: bar.progress(min(1.0, done / max(1, total)), f"{word} … {done} of {total}")

    try:
        episodes = [desk.episode(row.id) for row in chosen]
        report: Report = exporter.export(episodes, out, format=format, robot=robot, progress=step("Exporting"))
        findings = exporter.validate(out, step("Checking"))
        st.session_state["exported"] = {"out": str(out), "report": report, "findings": findings}
        st.session_state.pop("stamp", None)
    except FirsthandError as error:
        st.error("Nothing was written.", icon=":material/error:")
        st.text(str(error))
    finally:
        bar.empty()


def _result() -> None:
    done = st.session_state.get("exported")
    if not done:
        return
    report, findings = done["report"], done["findings"]
    with st.container(border=True):
        if findings:
            st.error(f"Written, but {len(findings)} findings when it was read back", icon=":material/rule:")
            for finding in findings[:50]:
                st.text(finding)
        else:
            st.success(f"{report.episodes} episodes, {report.frames} frames, read back and checked: no finding", icon=":material/verified:")
        st.code(done["out"], language=None)
        st.subheader("What the format could not hold")
        for loss in report.losses or ["nothing that was there"]:
            st.text(f"• {loss}")
        if report.left_out:
            st.subheader("Left out")
            for episode, reason in report.left_out:
                st.text(f"• {episode}: {reason}")
