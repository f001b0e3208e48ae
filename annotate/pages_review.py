"""Review: the player on one episode, and the way to the ones before and after it."""

import streamlit as st

from firsthand.annotate.catalog import Filter, after, ids
from firsthand.annotate.desk import Desk, Opened
from firsthand.annotate.pages_browse import query_filter
from firsthand.annotate.player import show_player
from firsthand.annotate.proxy import find_proxy


def page(desk: Desk) -> None:
    """Draw the page for the episode in the URL, or the first that is not submitted."""
    where = query_filter()
    queue = ids(desk.store, where)
    if not queue:
        st.info("No episode passes the filters of this page; go back to Browse.", icon=":material/filter_alt_off:")
        return
    _follow_player()
    id = st.query_params.get("episode") or after(desk.store, "", where) or queue[0]
    st.query_params["episode"] = id
    _head(desk, id, queue, where)
    opened = _open(desk, id)
    show_player(desk.player_data(opened, where))


def _follow_player() -> None:
    """Go where the player went, once: its word stays in the state and comes with every run, also with the first of a new connection."""
    news = getattr(st.session_state.get("player"), "went", None)
    if news != st.session_state.setdefault("followed", news):
        st.session_state["followed"] = news
        if news:
            st.query_params["episode"] = news["to"]


def _head(desk: Desk, id: str, queue: list[str], where: Filter) -> None:
    at = queue.index(id) if id in queue else -1
    title, back, on = st.columns([9, 1.3, 1.3], vertical_alignment="center")
    with title:
        active = " · filtered" if where != Filter() else ""
        outside = f"not among the {len(queue)} filtered" if active else ""
        st.text(f"{id}    {at + 1} of {len(queue)}{active}" if at >= 0 else f"{id}    {outside}")
    if back.button("Previous", icon=":material/chevron_left:", disabled=at <= 0, width="stretch"):
        _go(queue[at - 1])
    if on.button("Next", icon=":material/chevron_right:", icon_position="right", disabled=at + 1 >= len(queue), width="stretch"):
        _go(queue[at + 1])


def _go(id: str) -> None:
    st.query_params["episode"] = id
    st.rerun()


def _open(desk: Desk, id: str) -> Opened:
    if find_proxy(desk.episode(id)):
        return desk.open(id)
    bar = st.progress(0.0, "Preparing the pictures …")
    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        percent = done * 100 // max(1, total)
        if percent >= shown + 2:
            shown = percent
            bar.progress(done / max(1, total), f"Preparing the pictures … {done} of {total}")

    try:
        return desk.open(id, progress)
    finally:
        bar.empty()
