"""Browse: every episode of the library as a line, filtered by what stands in the URL."""

import math
import textwrap
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from firsthand.annotate.catalog import STATES, EpisodeRow, Filter, after, browse, choices, counts
from firsthand.annotate.desk import PREFIX, Desk
from firsthand.annotate.labels import FLAGS

PER_PAGE = 24
ROW_PX = 68
FINDINGS_SHOWN = 84
"""Letters of findings that fit a row; Review shows all."""
STATE_WORDS = {"new": "○ new", "draft": "◐ draft", "submitted": "● submitted", "problem": "⚠ problem"}
OUTCOME_WORDS = {True: "success", False: "fail", None: ""}
REVIEW: Any = None
"""The Review page, to go to; set where the pages are made."""


def page(desk: Desk) -> None:
    """Draw the page."""
    totals = counts(desk.store)
    head, again = st.columns([8, 1], vertical_alignment="bottom")
    with head:
        st.title(desk.title)
        states = " · ".join(f"{totals[state]:.0f} {state}" for state in STATES if totals[state])
        st.text(f"{sum(totals[state] for state in STATES):.0f} episodes · {_hours(totals['hours'])} · {states}")
    with again:
        if st.button("Refresh", icon=":material/refresh:", help="Look for new episodes and changed files", width="stretch"):
            with st.spinner("Looking …"):
                desk.look()
            st.rerun()

    where = filters(desk)
    rows, total = browse(desk.store, where, limit=PER_PAGE, offset=0)
    pages = max(1, math.ceil(total / PER_PAGE))
    number = 1
    if pages > 1:
        number = st.pagination(pages, key=f"page of {where}")
        rows, total = browse(desk.store, where, limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    if not rows:
        st.info("No episode passes these filters.", icon=":material/filter_alt_off:")
        return
    chosen = st.dataframe(
        pd.DataFrame([_line(desk, row) for row in rows]), key=f"episodes-{number}", hide_index=True, placeholder="",
        row_height=ROW_PX, height=min(len(rows), 9) * ROW_PX + 40, on_select="rerun", selection_mode="single-cell",
        column_config={
            "picture": st.column_config.ImageColumn("", width=100),
            "task": st.column_config.TextColumn("Task", width=260),
            "label": st.column_config.TextColumn("Label state", width=105),
            "outcome": st.column_config.TextColumn("Outcome", width=80),
            "segments": st.column_config.NumberColumn("Segments", width=80),
            "seconds": st.column_config.NumberColumn("Length", format="%.1f s", width=75),
            "hands": st.column_config.ProgressColumn("Hands seen", format="percent", min_value=0, max_value=1, width=110),
            "findings": st.column_config.TextColumn("Findings", width=240),
            "episode": st.column_config.TextColumn("Episode", width=185),
        },
    )  # fmt: skip
    shown = f"{(number - 1) * PER_PAGE + 1}–{(number - 1) * PER_PAGE + len(rows)} of {total}"
    st.caption(f"{shown} · click an episode to review it")
    cells = chosen.selection.cells
    if cells:
        st.switch_page(REVIEW, query_params={"episode": rows[cells[0][0]].id, **filter_query(where)})
    todo = after(desk.store, "", where)
    if todo:
        desk.prepare(todo)  # where most people start


def filters(desk: Desk) -> Filter:
    """The filter widgets. They start from the URL, else from where this tab left them, and keep the URL up to date; the browser's
    back button sets them.

    Streamlit's own binding of widgets to the URL is of no use here: what it binds cannot be handed on to another page.
    """
    tasks, sessions = choices(desk.store)
    asked, left = filter_query(query_filter()), st.session_state.get("filter", {})
    shown = {name: value for name in Filter.__dataclass_fields__ if (value := st.session_state.get(f"filter-{name}"))}
    arrived = "filter-text" not in st.session_state
    if arrived or (shown == left != asked):
        for name in Filter.__dataclass_fields__:
            st.session_state[f"filter-{name}"] = (asked or left if arrived else asked).get(name, "")
    text, task, session, state, flag = st.columns([3, 3, 3, 2, 2])

    def choice(column: Any, name: str, options: list[str], nothing: str) -> str:
        key = f"filter-{name}"
        if st.session_state[key] not in options:
            st.session_state[key] = ""
        return column.selectbox(name.capitalize(), ["", *options], key=key, format_func=lambda option: option or nothing) or ""

    where = Filter(
        text=text.text_input("Search", key="filter-text", placeholder="words of task or episode") or "",
        task=choice(task, "task", tasks, "all tasks"), session=choice(session, "session", sessions, "all sessions"),
        state=choice(state, "state", list(STATES), "any state"), flag=choice(flag, "flag", list(FLAGS), "any flag"),
    )  # fmt: skip
    st.session_state["filter"] = filter_query(where)
    if filter_query(where) != filter_query(query_filter()):
        st.query_params.from_dict(filter_query(where))
    return where


def filter_query(where: Filter) -> dict[str, str]:
    """A filter as query parameters, the empty ones left out."""
    return {name: value for name, value in vars(where).items() if value}


def query_filter() -> Filter:
    """The filter that stands in the URL."""
    return Filter(**{name: st.query_params.get(name, "") for name in Filter.__dataclass_fields__})


def _line(desk: Desk, row: EpisodeRow) -> dict[str, Any]:
    picture = None if row.problem else f"{PREFIX}/{quote(row.id)}/thumbnail?token={desk.tokens.mint('read', row.id)}"
    missing = [f"{row.gaps} samples missing"] if row.gaps else []
    unprocessed = ["hands not found yet"] if row.coverage is None else []
    findings = [_short(desk, row)] if row.problem else [*row.flags, *unprocessed, *missing, *row.findings]
    shown = textwrap.shorten("; ".join(findings), FINDINGS_SHOWN, placeholder=" …")
    return {
        "picture": picture, "task": row.task, "label": STATE_WORDS[row.state], "outcome": OUTCOME_WORDS[row.success],
        "segments": row.segments or None, "seconds": row.duration_s or None, "hands": row.coverage, "findings": shown,
        "episode": row.id,
    }  # fmt: skip


def _short(desk: Desk, row: EpisodeRow) -> str:
    """Why an episode cannot be opened, without the folder that stands beside it."""
    return row.problem.replace(f"{desk.library}/", "").replace(f"{row.id}/", "")


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
