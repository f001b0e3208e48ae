"""The app's frame: which pages there are, and what is shown when no library is open."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from firsthand.annotate import pages_browse, pages_review
from firsthand.annotate.desk import Desk, current_desk, open_desk
from firsthand.capture.errors import FirsthandError

ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#181c24"/>
<g stroke="#ffa94d" stroke-width="2.6" stroke-linecap="round" fill="none">
<path d="M16 27 7 17M16 27 11 7M16 27 16 5M16 27 21 7M16 27 25 11"/></g></svg>"""
"""Drawn here: a named icon would be fetched from elsewhere as the page's favicon."""

STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 3.5rem 1.4rem 1rem 1.4rem; max-width: none; }
[data-testid="stHeader"] { height: 2.9rem; min-height: 0; background: #12161d; border-bottom: 1px solid #2a303b; }
[data-testid="stVerticalBlock"] { gap: 0.7rem; }
h1 { font-size: 1.5rem !important; padding: 0 0 .3rem 0 !important; }
h3 { font-size: 1.05rem !important; padding: .5rem 0 0 0 !important; }
</style>"""


def run(export_page: Callable[[Desk], None]) -> None:
    """Draw the app. `export_page` comes from above: this layer knows no training formats."""
    st.set_page_config(page_title="firsthand review", page_icon=ICON, layout="wide")
    st.html(STYLE)
    try:
        desk = current_desk()
    except FirsthandError as error:
        _choose_library(str(error))
        return
    if desk is None:
        _choose_library()
        return
    browse = st.Page(lambda: _guarded(pages_browse.page, desk), title="Browse", icon=":material/grid_view:", url_path="browse",
                     default=True)
    review = st.Page(lambda: _guarded(pages_review.page, desk), title="Review", icon=":material/play_circle:", url_path="review")
    export = st.Page(lambda: _guarded(export_page, desk), title="Export", icon=":material/output:", url_path="export")
    pages_browse.REVIEW = review
    st.navigation([browse, review, export], position="top").run()


def _guarded(page: Callable[[Desk], None], desk: Desk) -> None:
    """Draw a page; a fault in data is one sentence on it, not a traceback."""
    try:
        page(desk)
    except FirsthandError as error:
        st.error("This cannot be shown.", icon=":material/error:")
        st.text(str(error))


def _choose_library(problem: str = "") -> None:
    """Ask for the folder of a library."""
    st.title("Open a library")
    st.write("Which folder holds your recordings? It is the one that `firsthand record` or `firsthand import` wrote to.")
    if problem:
        st.warning("That library cannot be opened.", icon=":material/folder_off:")
        st.text(problem)
    with st.form("library", border=True):
        path = st.text_input("Library folder", placeholder="recordings/library")
        if st.form_submit_button("Open", type="primary") and path.strip():
            try:
                open_desk(Path(path.strip()))
            except FirsthandError as error:
                st.text(str(error))
            else:
                st.rerun()
    st.caption("Next time, `firsthand review FOLDER` opens it at once.")
