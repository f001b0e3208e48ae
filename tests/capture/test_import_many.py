"""Importing many sources at once: what is bad, hangs or crashes is told and put aside, the rest go in, and again goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.import_many import Report, import_many
from firsthand.capture.importer import STAGING
from firsthand.capture.intake import Asked
from firsthand.capture.library import find_episodes
from firsthand.capture.quarantine import read_quarantine
from firsthand.capture.summary import check_recording

COUNTS = '''
"""Reads ``.count`` files: how many episodes, or what is to go wrong."""
import os, time
import numpy as np
from firsthand.capture.errors import DamagedError
from firsthand.capture.intake import Found, Take
from firsthand.capture.stream import Sample, StreamSpec

def counts(source, asked):
    if source.suffix != ".count":
        return None
    word, *rest = source.read_text().split()
    def write(intake, number):
        with intake.recording("import-count/1", source="simulation") as writer:
            writer.add_stream(StreamSpec("count", "numeric", "other", names=("n",), units=("1",), clock="media"))
            for n in range(10):
                writer.append(Sample("count", n, n, n, np.array([float(number)])))
                if word == "crash" and n == 5:
                    os.abort()
                if word in ("hang", "slow") and n == 5:
                    time.sleep(1000 if word == "hang" else 0.5)
                if word == "bad" and n == 5:
                    raise DamagedError(f"cannot import {source}: it is bad")
                if word == "fault" and n == 5:
                    [][n]
                intake.progress(n, 10)
    many = int(rest[0]) if rest else 1
    return Found(tuple(Take(f"take {i}", lambda intake, i=i: write(intake, i)) for i in range(many)))
'''


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for ``.count`` files, and an importer of another package that reads them."""
    site = tmp_path / "site"
    (site / "counts-1.dist-info").mkdir(parents=True)
    (site / "counts.py").write_text(COUNTS)
    (site / "counts-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: counts\nVersion: 1\n")
    (site / "counts-1.dist-info" / "entry_points.txt").write_text("[firsthand.importers]\ncounts = counts:counts\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    (tmp_path / "cards" / "inner").mkdir(parents=True)
    return tmp_path / "cards"


def run(cards: Path, *sources: Path | str, **options: object) -> Report:
    return import_many(sources or [cards], cards.parent / "library", Asked(), workers=2, **options)  # type: ignore[arg-type]


def left_over(cards: Path) -> list[Path]:
    return list((cards.parent / "library").glob(f"{STAGING}*"))


def test_a_folder_is_searched_and_a_source_of_several_takes_is_one_session(cards: Path) -> None:
    (cards / "one.count").write_text("good")
    (cards / "inner" / "many.count").write_text("good 12")
    (cards / "inner" / ".hidden.count").write_text("good")
    (cards / "notes.txt").write_text("nothing of ours")
    seen: list[tuple[int, int]] = []
    report = run(cards, progress=lambda done, total: seen.append((done, total)))
    assert len(report.imported) == 13 and not report.faults and [path.name for path in report.passed_over] == ["notes.txt"]
    assert seen == [(n, 13) for n in range(1, 14)]
    episodes = find_episodes(cards.parent / "library")
    assert len(episodes) == 13 and len({episode.path.parent for episode in episodes}) == 2
    for item in report.imported:
        with item.episode.recording() as recording:
            assert np.all(recording["count"].values == int(item.take.split()[1])) and recording.source == "simulation"
        assert check_recording(item.episode.recording_path) == []
    again = run(cards)
    assert [item.episode for item in again.imported] == [item.episode for item in report.imported]
    assert not any(item.new for item in again.imported)


def test_what_people_agreed_to_and_the_rung_are_said_by_who_imports(cards: Path) -> None:
    (cards / "one.count").write_text("good")
    asked = Asked(source="fleet", consent={"train": True})
    report = import_many([cards], cards.parent / "library", asked, workers=1)
    (item,) = report.imported
    assert item.episode.session()["consent"] == {"train": True}
    with item.episode.recording() as recording:
        assert recording.source == "fleet"
    with pytest.raises(FirsthandError, match="no source called 'flet'; did you mean 'fleet'"):
        Asked(source="flet")  # type: ignore[arg-type]


def test_a_pipe_in_a_folder_is_no_source_and_named_it_is_told(cards: Path) -> None:
    """Opening one waits for whoever writes into it: it took ten minutes to be given up."""
    (cards / "one.count").write_text("good")
    os.mkfifo(cards / "film.mp4")
    report = run(cards, silent_s=5)
    assert len(report.imported) == 1 and not report.faults and not report.passed_over
    (fault,) = run(cards, cards / "film.mp4", silent_s=5).faults
    assert fault.reason.endswith("film.mp4 is neither a file nor a folder") and not fault.quarantined


def dataset(root: Path) -> Path:
    """A LeRobot dataset of v2.1 with two episodes of three rows, the second of which has a damaged file."""
    one = {"dtype": "float32", "shape": [1], "names": None}
    info = {"codebase_version": "v2.1", "robot_type": "so101", "total_episodes": 2, "chunks_size": 1000, "fps": 10,
            "features": {"action": one, "timestamp": one, "frame_index": {**one, "dtype": "int64"}},
            "data_path": "data/episode_{episode_index:06d}.parquet", "video_path": None}
    (root / "meta").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "meta" / "info.json").write_text(json.dumps(info))
    (root / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "dig"}\n')
    (root / "meta" / "episodes.jsonl").write_text("".join(f'{{"episode_index": {n}, "length": 3, "tasks": ["dig"]}}\n' for n in range(2)))
    rows = {"action": np.arange(3, dtype=np.float32), "timestamp": np.arange(3, dtype=np.float32) / 10, "frame_index": np.arange(3)}
    for n in range(2):
        pq.write_table(pa.table({**rows, "episode_index": np.full(3, n)}), root / f"data/episode_{n:06d}.parquet")
    return root


def test_a_folder_is_tried_again_when_a_file_in_it_was_mended_and_known_under_another_name(cards: Path) -> None:
    """What tells one dataset from another is its index; a damaged file beside that was never tried again."""
    root = dataset(cards / "set")
    bad = root / "data" / "episode_000001.parquet"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-20])
    report = run(cards, root)
    assert len(report.imported) == 1 and [fault.quarantined for fault in report.faults] == [True]
    bad.write_bytes(whole)
    report = run(cards, root)
    assert [item.new for item in report.imported] == [False, True] and not report.faults
    report = run(cards, root.rename(cards / "another name"))
    assert [item.new for item in report.imported] == [False, False]
    assert len({episode.path.parent for episode in find_episodes(cards.parent / "library")}) == 1


@pytest.mark.parametrize(("word", "says"), [("bad", "it is bad"), ("crash", r"SIGABRT \(exit code -6\)"),
                                            ("hang", "nothing happened for 3 s"), ("fault", "its reader failed .IndexError")])
def test_what_is_bad_is_put_aside_and_the_rest_go_in(cards: Path, word: str, says: str) -> None:
    for n in range(4):
        (cards / f"{n}.count").write_text(f"{word} {n + 1}" if n == 1 else f"good {n + 1}")
    report = run(cards, silent_s=3)
    assert len(report.imported) == 1 + 3 + 4
    assert len(report.faults) == 2 and all(fault.quarantined for fault in report.faults)
    for fault in report.faults:
        assert "1.count" in fault.reason and "\n" not in fault.reason
        assert re.search(says, fault.reason)
    assert not left_over(cards)
    refused = read_quarantine(cards.parent / "library")
    assert [(Path(entry.source).name, entry.take) for entry in sorted(refused, key=lambda e: e.take)] == [("1.count", 0), ("1.count", 1)]

    start = time.monotonic()
    still = run(cards, silent_s=60)
    assert len(still.faults) == 2 and not any(item.new for item in still.imported) and time.monotonic() - start < 30  # not tried again
    (cards / "1.count").write_text("good 2 now")
    mended = run(cards)
    assert len(mended.imported) == 10 and not mended.faults and read_quarantine(cards.parent / "library") == []


def test_retry_tries_what_did_not_change(cards: Path) -> None:
    (cards / "1.count").write_text("bad")
    assert len(run(cards).faults) == 1
    site = cards.parent / "site" / "counts.py"
    site.write_text(site.read_text().replace('word == "bad"', 'word == "never"'))
    assert len(run(cards).faults) == 1
    assert len(run(cards, retry=True).imported) == 1 and read_quarantine(cards.parent / "library") == []


def test_patterns_are_expanded_and_what_is_named_must_be_readable(cards: Path) -> None:
    (cards / "1.count").write_text("good")
    (cards / "2.txt").write_text("no")
    assert len(run(cards, f"{cards}/*.count").imported) == 1
    (fault,) = run(cards, cards / "2.txt").faults
    assert "no kind of file" in fault.reason and not fault.quarantined
    (fault,) = run(cards, cards / "3.count").faults
    assert "no such file" in fault.reason
    with pytest.raises(FirsthandError, match="nothing matches"):
        run(cards, f"{cards}/*.mp9")
    with pytest.raises(FirsthandError, match="no importer called 'vidoe'; did you mean 'video'"):
        run(cards, importer="vidoe")


def test_killed_at_any_moment_it_goes_on(cards: Path) -> None:
    (cards / "slow.count").write_text("slow 8")
    command = [sys.executable, "-m", "firsthand.cli", "import", str(cards), "--into", str(cards.parent / "library"), "--workers", "2"]
    for how in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ)
        deadline = time.monotonic() + 60
        had = len(list((cards.parent / "library").glob("*/*/recording.h5")))
        while len(list((cards.parent / "library").glob("*/*/recording.h5"))) < had + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(how)
        process.communicate(timeout=60)
        assert process.returncode in (1, -signal.SIGKILL)
    time.sleep(1.5)  # workers of one that was killed finish what they are at
    before = len(find_episodes(cards.parent / "library"))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["imported"]
    assert len(items) == 8 and sum(not item["new"] for item in items) == before >= 4 and not left_over(cards)
    assert len({item["episode"].split("/")[0] for item in items}) == 1
