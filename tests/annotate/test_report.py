"""Pictures for people: overlay, contact sheet, chart and report."""

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from firsthand.annotate.annotation import Annotation, Segment, write_annotation
from firsthand.annotate.chart import Line, chart
from firsthand.annotate.contact_sheet import contact_sheet, episode_frames
from firsthand.annotate.overlay import draw_gripper, draw_hand
from firsthand.annotate.report import write_report
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.library import find_episodes
from firsthand.retarget.hand_track import MEASURED

OUTSIDE = ("script", "link", "iframe")


class Page(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_hand_is_drawn_where_it_is_and_an_unseen_one_is_not() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    draw_hand(image, np.full((21, 2), np.nan), "right", MEASURED)
    assert not image.any()
    draw_hand(image, np.stack([np.linspace(40, 60, 21), np.linspace(30, 50, 21)], 1), "right", MEASURED)
    rows, columns = np.nonzero(image.any(2))
    assert columns.min() >= 35 and columns.max() <= 65 and rows.min() >= 25 and rows.max() <= 55


def test_a_gripper_behind_the_camera_is_not_drawn() -> None:
    image, camera = np.zeros((120, 160, 3), np.uint8), CameraCalibration(np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]]), 160, 120)
    T = np.eye(4)
    T[2, 3] = -0.4
    draw_gripper(image, camera, T, 0.05)
    assert not image.any()
    T[2, 3] = 0.4
    draw_gripper(image, camera, T, 0.05)
    assert image[50:70, 60:100].any()


def test_the_contact_sheet_has_a_row_for_each_episode(tiny_library: Path, tmp_path: Path) -> None:
    episodes = find_episodes(tiny_library)
    contact_sheet(episodes[:1], tmp_path / "one.png", columns=4)
    contact_sheet(episodes, tmp_path / "two.png", columns=4, robot="panda_gripper")
    one, two = cv2.imread(str(tmp_path / "one.png")), cv2.imread(str(tmp_path / "two.png"))
    assert two.shape[0] == 2 * one.shape[0] and two.shape[1] == one.shape[1]


def test_frames_are_evenly_spaced_from_first_to_last(tiny_library: Path) -> None:
    assert [i for i, _ in episode_frames(find_episodes(tiny_library)[0], 5)] == [0, 12, 24, 35, 47]


def test_the_report_stands_alone_and_shows_text_as_text(tiny_library: Path, tmp_path: Path) -> None:
    episodes = find_episodes(tiny_library)
    nasty = "<script>alert(1)</script> & <b>fold</b>"
    spans = (Segment(0, 20, "reach"), Segment(20, 48, "<i>"))
    write_annotation(episodes[0].annotations_path, Annotation(48, nasty, True, tiers={"subtask": spans}))
    rows = [{"name": "wrist", "value": 7.5, "unit": "mm", "goal": 10.0, "at_least": False, "ok": True}]
    write_report(tmp_path / "report.html", "title", "intro", episodes, figures=rows, places={"library": "here"}, robot="panda_gripper")
    text = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert not set(page.tags) & set(OUTSIDE) and "b" not in page.tags
    assert page.sources and all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "&lt;script&gt;" in text and page.tags.count("svg") == 4 and "met" in text


def test_a_chart_is_sound_svg_and_breaks_its_line_where_nothing_is_known() -> None:
    values = np.r_[np.linspace(0, 1, 10), np.full(5, np.nan), np.linspace(1, 0, 10)]
    svg = chart("a & b", np.arange(25) / 10, [Line("<x>", values, "#123456")], [(0, 10, "reach"), (10, 25, "grasp")])
    tree = ElementTree.fromstring(svg)
    (path,) = tree.iter("path")
    assert path.attrib["d"].count("M") == 2 and "nan" not in svg


def test_a_chart_of_nothing_is_still_a_chart() -> None:
    assert ElementTree.fromstring(chart("t", np.arange(3.0), [Line("x", np.full(3, np.nan), "#000")])).tag == "svg"
