"""The player as a Streamlit component: plain JavaScript from the files beside this one, no build step."""

from functools import cache
from pathlib import Path
from typing import Any

PARTS = ("player_segments.js", "player_picture.js", "player_timeline.js", "player_saving.js", "player_panel.js", "player_keys.js",
         "player.js")
"""One module when joined, in this order."""


def player_script() -> str:
    """The player's code."""
    return "\n".join((Path(__file__).parent / part).read_text(encoding="utf-8") for part in PARTS)


@cache
def _component() -> Any:
    import streamlit as st

    css = (Path(__file__).parent / "player.css").read_text(encoding="utf-8")
    return st.components.v2.component("firsthand_player", html='<div class="fh" tabindex="0"></div>', css=css, js=player_script())


def show_player(data: dict[str, Any]) -> None:
    """Put the player on the page. Where it went after a submission, {to, at}, then stands in its state as ``went``.

    It stays the same component from episode to episode (one key), so that switching does not build it again. Its word is state, not
    a trigger, which can be lost while mounting; acting on the same one twice must do nothing.
    """
    _component()(key="player", data=data, on_went_change=lambda: None)
