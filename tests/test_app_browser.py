"""The whole app in a real browser on a real server: exact frames, edits that arrive, and an export that holds what was said."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.annotate.serve import review_command, review_environment
from firsthand.annotate.store import Edit, library_store
from firsthand.capture.library import find_episodes
from firsthand.retarget.hand_track import read_hands

WAIT_MS = 20_000

BARCODE = """canvas => { const g = canvas.getContext('2d'), y = Math.round(canvas.height / 16); let n = 0;
    for (let k = 0; k < 16; k++) if (g.getImageData(Math.round((k + .5) * canvas.width / 16), y, 1, 1).data[0] > 128) n |= 1 << k;
    return n & 255; }"""
"""Reads the frame's number off the composed picture."""


@dataclass
class Server:
    """The real app on a library, started as `firsthand review` starts it."""

    library: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers."""
        environment = review_environment(self.library) | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(review_command(self.port, browser=False), env=environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        pytest.fail("the app did not start within 30 s")

    def kill(self) -> None:
        """End it without a word of warning."""
        if self.process:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tiny_library: Path) -> Iterator[Server]:
    """The app on the tiny library."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(tiny_library, port)
    server.start()
    yield server
    server.kill()


@dataclass
class Tab:
    """A page in the browser, with what it complained about."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, place: str) -> None:
        self.page.goto(self.url + place)

    def review(self, episode: str) -> None:
        """Open an episode and wait until its player is ready."""
        self.open(f"/review?episode={episode}")
        self.until(f"h.episode === '{episode}'")

    def until(self, condition: str) -> None:
        """Wait for a condition on the player's hook `h`."""
        self.page.wait_for_function(f"() => {{ const h = window.__fh; return h && ({condition}); }}", timeout=WAIT_MS)

    def hook(self, expression: str) -> Any:
        """A value of the player's hook `h`."""
        return self.page.evaluate(f"() => {{ const h = window.__fh; return {expression}; }}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def barcode(self) -> int:
        return int(self.page.locator(".screen").evaluate(BARCODE))


@pytest.fixture
def tab(server: Server, chromium: Any) -> Iterator[Tab]:
    """A fresh page on the app."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    tab = Tab(page, server.url)
    page.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith((server.url, "blob:", "data:"))
            else tab.complaints.append(f"fetched {request.url}"))
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    yield tab
    context.close()


def test_every_frame_is_shown_as_itself_with_its_own_hands(tab: Tab, tiny_library: Path) -> None:
    episode = find_episodes(tiny_library)[0]
    tab.review(episode.id)
    tab.until("h.frame === 0")
    seen = [tab.barcode()]
    for frame in range(1, 48):  # one step at a time, each awaited
        tab.press("ArrowRight")
        tab.until(f"h.frame === {frame}")
        seen.append(tab.barcode())
    assert seen == list(range(48))

    pixels = read_hands(episode.hands_path).tracks["right"].points_px[:, 0]
    at_wrist = """([canvas, [x, y]]) => [...canvas.getContext('2d').getImageData(
        Math.round((x + .5) * canvas.width / 160), Math.round((y + .5) * canvas.height / 120), 1, 1).data].slice(0, 3)"""
    for frame in np.random.default_rng(3).permutation(48)[:20]:
        tab.hook(f"h.seek({frame})")
        tab.until(f"h.frame === {frame}")
        assert tab.barcode() == frame
        canvas = tab.page.locator(".screen").element_handle()
        if np.isfinite(pixels[frame]).all():
            colour = np.array(tab.page.evaluate(at_wrist, [canvas, pixels[frame].tolist()]))
            assert np.abs(colour - [255, 169, 77]).max() < 12, f"no right wrist on frame {frame}: {colour}"

    tab.hook("h.seek(0)")
    tab.until("h.frame === 0")
    tab.press(*["ArrowRight"] * 25)  # as fast as keys can come: none is lost
    tab.until("h.frame === 25 && h.target === 25")
    assert tab.barcode() == 25
    assert [text for text in tab.complaints if "404" not in text] == []


def test_while_playing_the_picture_and_the_frame_number_agree(tab: Tab, tiny_library: Path) -> None:
    tab.review(find_episodes(tiny_library)[0].id)
    tab.until("h.frame === 0")
    tab.page.locator(".screen").evaluate("canvas => { const read = " + BARCODE + """; window.pairs = [];
        const look = () => { window.pairs.push([window.__fh.frame, read(canvas)]);
            if (window.pairs.length < 400) requestAnimationFrame(look); };
        requestAnimationFrame(look); }""")
    tab.press(" ")
    tab.until("h.frame === 47 && !h.playing")
    pairs = tab.page.evaluate("window.pairs")
    assert len({frame for frame, _ in pairs}) > 10
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_an_episode_is_labelled_submitted_and_exported_with_what_was_said(tab: Tab, tiny_library: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    first, second = find_episodes(tiny_library)
    tab.open("/?state=new")
    grid = tab.page.locator("[data-testid=stDataFrame] canvas").first
    grid.wait_for(timeout=WAIT_MS)
    box = grid.bounding_box()
    tab.page.mouse.click(box["x"] + 250, box["y"] + 75)  # the first row
    tab.until(f"h.episode === '{first.id}'")
    assert "state=new" in tab.page.url, "the filter comes along"

    tab.press("e", "Control+a")
    tab.page.keyboard.type("lay the ruby in the dish, f y 1 <img src=x onerror=alert(1)>")
    assert tab.hook("h.doc.episode.success") is None, "typing never edits anything else"
    tab.press("Enter", "y")
    assert tab.hook("h.doc.episode.success") is True

    tab.hook("h.seek(5)")
    tab.until("h.frame === 5")
    tab.press("i")
    tab.hook("h.seek(19)")
    tab.until("h.frame === 19")
    tab.press("o", "2")
    assert tab.hook("h.doc.tiers.subtask.map(s => [s.a, s.b, s.label])") == [[5, 20, "grasp"]]

    line = tab.page.locator(".timeline").bounding_box()
    y = line["y"] + tab.hook("h.y('subtask')")
    tab.page.mouse.move(line["x"] + tab.hook("h.x(20)"), y)
    tab.page.mouse.down()
    tab.page.mouse.move(line["x"] + tab.hook("h.x(26)"), y, steps=4)
    tab.page.mouse.move(line["x"] + tab.hook("h.x(30)"), y, steps=4)
    tab.page.mouse.up()
    edge = tab.hook("h.doc.tiers.subtask[0].b")
    assert 28 <= edge <= 32
    tab.until(f"h.frame === {edge - 1}")

    tab.press("Control+z")
    assert tab.hook("h.doc.tiers.subtask[0].b") == 20, "a drag is one step back"
    tab.press("Control+Shift+z")
    tab.until("h.pending === 0 && h.state === 'saved'")
    assert not first.annotations_path.exists(), "a draft is not a submission"

    tab.until("h.ready")
    tab.press("Enter")
    tab.until(f"h.drawn === '{second.id}'")  # the player goes on by itself …
    tab.page.wait_for_url(f"**episode={second.id.replace('/', '%2F')}*", timeout=WAIT_MS)  # … and the page follows
    said = read_annotation(first.annotations_path)
    assert said is not None and said.success is True and said.instruction.startswith("lay the ruby in the dish")
    assert [(s.a, s.b, s.label, s.source) for s in said.tiers["subtask"]] == [(5, edge, "grasp", "person")]

    out = tmp_path / "dataset"
    tab.open("/export")
    field = tab.page.get_by_label("New folder for the dataset", exact=True)
    field.fill(str(out))
    field.press("Enter")
    tab.page.get_by_text("1 of 2 episodes").wait_for(timeout=WAIT_MS)
    tab.page.get_by_role("button", name="Export", exact=True).click()
    tab.page.get_by_text(re.compile("read back and checked: no finding")).wait_for(timeout=60_000)
    assert said.instruction in list(pandas.read_parquet(out / "meta" / "tasks.parquet").index)
    subtasks = pandas.read_parquet(out / "meta" / "subtasks.parquet")
    rows = pandas.concat([pandas.read_parquet(path) for path in sorted((out / "data").rglob("*.parquet"))])
    names = {number: name for name, number in subtasks["subtask_index"].items()}
    assert [names[number] for number in rows["subtask_index"]].count("grasp") == edge - 5
    assert [text for text in tab.complaints if "404" not in text] == []


def test_two_people_on_one_episode_are_told_and_choose(tab: Tab, tiny_library: Path) -> None:
    episode = find_episodes(tiny_library)[0]
    tab.review(episode.id)
    store = library_store(tiny_library)
    theirs = store.open_episode(episode, 48).annotation
    store.save(episode.id, theirs, Edit("bob", 0, "another-browser", 1))
    tab.press("y")
    tab.until("h.state === 'conflict'")
    tab.page.get_by_text("bob saved version 1 while you edited").wait_for()
    tab.page.get_by_role("button", name="Keep mine").click()
    tab.until("h.state === 'saved' && h.version === 2")
    assert store.open_episode(episode, 48).annotation.success is True
    assert [event["actor"] == "bob" for event in store.history(episode.id)] == [True, False]
    store.close()


def test_edits_made_while_the_server_is_dead_arrive_when_it_is_back(tab: Tab, server: Server, tiny_library: Path) -> None:
    episode = find_episodes(tiny_library)[0]
    tab.review(episode.id)
    tab.press("y")
    tab.until("h.state === 'saved'")
    server.kill()
    for key in ("v", "b", "u"):
        tab.press(key)
    tab.until("h.state === 'offline'")
    tab.press("d")
    server.start()
    tab.until("h.state === 'saved' && h.pending === 0")  # without reloading: the page brings a token of the new server
    tab.page.reload()
    tab.until(f"h.episode === '{episode.id}' && h.state === 'saved' && h.doc.episode.flags.length === 4")
    store = library_store(tiny_library)
    saved = store.open_episode(episode, 48).annotation
    store.close()
    assert saved.flags == ("recovery", "blur", "occluded", "hand lost") and saved.success is True


def test_the_back_button_brings_back_the_filter_before(tab: Tab) -> None:
    tab.open("/")
    search = tab.page.get_by_placeholder("words of task or episode")
    for words, left in (("/001", "1–1 of 1 "), ("nowhere", "No episode passes these filters")):
        search.fill(words)
        search.press("Enter")
        tab.page.get_by_text(left).wait_for(timeout=WAIT_MS)
    tab.page.go_back()
    tab.page.get_by_text("1–1 of 1 ").wait_for(timeout=WAIT_MS)
    assert search.input_value() == "/001" and tab.page.url.endswith("text=%2F001")


def test_hostile_words_are_shown_as_words(tab: Tab, tiny_library: Path) -> None:
    episode = find_episodes(tiny_library)[0]
    store = library_store(tiny_library)
    doc = store.open_episode(episode, 48).annotation.to_json()
    evil = "<img src=x onerror=\"window.hacked=1\"> ![](http://127.0.0.1:9/x.png) [x](javascript:window.hacked=1)"
    doc["episode"]["instruction"] = evil
    doc["tiers"] = {"subtask": [{"id": "p-1", "a": 0, "b": 40, "label": evil[:60], "text": evil}]}
    from firsthand.annotate.document import parse_document

    store.submit(episode, parse_document(doc, n_frames=48), Edit(evil, 0, "another-browser", 1))
    store.close()
    tab.open("/")
    tab.page.locator("[data-testid=stDataFrame] canvas").first.wait_for(timeout=WAIT_MS)
    tab.review(episode.id)
    tab.press("n", "p")
    assert tab.page.get_by_label("Task", exact=True).input_value() == evil
    assert tab.page.evaluate("window.hacked") is None
    assert json.dumps(tab.complaints).find("127.0.0.1:9") < 0, "nothing was fetched from elsewhere"
