"""The command as people meet it: a process of its own, its words and its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.importer import import_file
from firsthand.retarget.hand_model import hand_model

FIRSTHAND = [sys.executable, "-m", "firsthand.cli"]


def firsthand(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FIRSTHAND, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment})


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit 1, one sentence on stderr that says these words, no traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    sentences = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(sentences) == 1
    for word in words:
        assert word in sentences[0]


@pytest.fixture(scope="session")
def model() -> Path:
    """The packed hand model; fetched once. A test that needs it skips where it cannot be had."""
    try:
        return hand_model()
    except FirsthandError as error:
        pytest.skip(str(error))


@pytest.fixture
def handless_video(tmp_path: Path) -> Path:
    """Twenty frames of coloured noise."""
    path = tmp_path / "noise.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rng.integers(0, 255, (120, 160, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_a_video_without_hands_goes_through_and_is_flagged(model: Path, handless_video: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert firsthand("import", handless_video, "--into", library).returncode == 0
    done = firsthand("process", library, "--robot", "panda_gripper", "--robot", "allegro_right", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["frames"] == 20 and result["coverage"] == {} and any("no hand" in finding for finding in result["findings"])
    said = firsthand("process", library, "--robot", "panda_gripper")
    assert "no hand" in said.stdout
    refused(firsthand("export", library, tmp_path / "dataset", "--robot", "panda_gripper"), "no frame has a valid action")
    assert not (tmp_path / "dataset").exists()


def test_good_files_go_in_beside_a_bad_one(handless_video: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear all,")
    result = firsthand("import", tmp_path / "letter.mp4", handless_video, "--into", tmp_path / "library", "--json")
    refused(result, "letter.mp4", "not a video")
    assert [item["frames"] for item in json.loads(result.stdout)["imported"]] == [20]


@pytest.mark.parametrize(("name", "content", "word"), [("letter.mp4", b"Dear all,", "not a video"), ("empty.mov", b"", "is empty"),
                                                       ("notes.txt", b"x", "no kind of file")])
def test_what_is_no_video_is_refused_and_leaves_nothing(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(firsthand("import", tmp_path / name, "--into", tmp_path / "library"), name, word)
    assert {path.name for path in (tmp_path / "library").glob("*")} <= {".quarantine.json"}


def test_a_truncated_video_is_refused_and_leaves_nothing(handless_video: Path, tmp_path: Path) -> None:
    data = handless_video.read_bytes()
    handless_video.write_bytes(data[: len(data) // 2])
    refused(firsthand("import", handless_video, "--into", tmp_path / "library"), "cut off")
    assert {path.name for path in (tmp_path / "library").glob("*")} <= {".quarantine.json"}


def test_a_library_that_cannot_be_written_is_refused(handless_video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(firsthand("import", handless_video, "--into", tmp_path / "file" / "library"), "cannot write")
    refused(firsthand("import", handless_video, "--into", "/proc/library"), "cannot write")


def test_unknown_names_bring_the_near_ones(tiny_library: Path, tmp_path: Path) -> None:
    refused(firsthand("process", tiny_library, "--robot", "pand_gripper"), "no robot called 'pand_gripper'", "did you mean 'panda_gripper'")
    refused(firsthand("export", tiny_library, tmp_path / "out", "--robot", "panda_gripper", "--format", "lerobot_v3"),
            "no format called 'lerobot_v3'", "did you mean 'lerobot-v3'")
    refused(firsthand("export", tiny_library, tmp_path / "out", "--robot", "allegro_right"), "firsthand process")
    refused(firsthand("info", tmp_path / "nowhere"), "no library at")
    refused(firsthand("validate", tmp_path / "nowhere"), "nothing at")
    assert not (tmp_path / "out").exists()


def test_a_missing_model_without_network_is_one_sentence(tiny_library: Path, tmp_path: Path) -> None:
    offline = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "FIRSTHAND_HAND_MODEL": "", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0",
               "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    refused(firsthand("process", tiny_library, "--robot", "panda_gripper", **offline), "FIRSTHAND_HAND_MODEL")
    refused(firsthand("models", "build", FIRSTHAND_HAND_MODEL=str(tmp_path / "none.task")), "none.task")


def test_usage_is_exit_2() -> None:
    assert firsthand("proces").returncode == 2
    assert firsthand("process").returncode == 2


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing_that_looks_complete(long_library: Path, tmp_path: Path, ending: signal.Signals) -> None:
    out = tmp_path / "dataset"
    process = subprocess.Popen([*FIRSTHAND, "export", str(long_library), str(out), "--robot", "panda_gripper"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".dataset.*.part/videos/**/*.mp4")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(ending)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in said and "stopped" in said
    assert [p.name for p in tmp_path.iterdir()] == ["library"]
    assert firsthand("export", long_library, out, "--robot", "panda_gripper").returncode == 0


def test_info_and_validate_of_a_library(tiny_library: Path) -> None:
    document = json.loads(firsthand("info", tiny_library, "--json").stdout)
    assert [item["streams"][0]["samples"] for item in document] == [48, 40]
    timing = document[0]["timing"]
    assert timing["verdict"] in ("sound", "degraded") and {"head", "imu"} & {s["stream"] for s in timing["streams"]}
    shown = firsthand("info", tiny_library).stdout
    assert "head" in shown and f"timing {timing['verdict']}" in " ".join(shown.split())
    assert firsthand("validate", tiny_library).returncode == 0
    recording = next(tiny_library.glob("*/000/recording.h5"))
    recording.write_bytes(recording.read_bytes()[:5000])
    refused(firsthand("validate", tiny_library), "/000", "cut off")


def test_import_is_idempotent(handless_video: Path, tmp_path: Path) -> None:
    import_file(handless_video, tmp_path / "library")
    assert "already" in firsthand("import", handless_video, "--into", tmp_path / "library").stdout


def test_a_reader_that_leaves_early_is_no_fault(tiny_library: Path) -> None:
    command = f"{sys.executable} -m firsthand.cli info {tiny_library} --json | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout == "[\n" and done.stderr == ""


def test_names_are_printed_as_they_are(handless_video: Path, tmp_path: Path) -> None:
    odd = handless_video.rename(tmp_path / "it's [red] :smile: \n.mp4")
    done = firsthand("import", odd, "--into", tmp_path / "[bold]", COLUMNS="200")
    assert "it's [red] :smile: \\n.mp4: 20 frames" in done.stdout
    assert "[bold]: sound" in firsthand("validate", tmp_path / "[bold]", COLUMNS="200").stdout
    (tmp_path / "a[b].mp4").write_text("text")
    refused(firsthand("import", tmp_path / "a[b].mp4", "--into", tmp_path / "[bold]"), "a[b].mp4")


def test_a_file_that_is_no_hand_model_is_one_sentence(tiny_library: Path, tmp_path: Path) -> None:
    for name, content in (("noise.task", bytes(range(256)) * 8), ("empty.task", b"")):
        (tmp_path / name).write_bytes(content)
        done = firsthand("process", tiny_library, "--robot", "panda_gripper", FIRSTHAND_HAND_MODEL=str(tmp_path / name))
        refused(done, name, "not a hand")
    with zipfile.ZipFile(tmp_path / "other.task", "w") as archive:
        archive.writestr("a", "b")
    refused(firsthand("process", tiny_library, "--robot", "panda_gripper", FIRSTHAND_HAND_MODEL=str(tmp_path / "other.task")), "not a hand")


def test_an_interrupted_take_is_recovered(tmp_path: Path) -> None:
    code = ("import os, sys; from pathlib import Path; import numpy as np\n"
            "from firsthand.capture.recording_writer import RecordingWriter; from firsthand.capture.stream import Sample, StreamSpec\n"
            "writer = RecordingWriter(Path(sys.argv[1]))\n"
            "writer.add_stream(StreamSpec('imu', 'numeric', 'imu', names=('ax',), units=('m/s^2',)))\n"
            "[writer.append(Sample('imu', i * 5_000_000, i * 5_000_000, i, np.array([float(i)]))) for i in range(2000)]\n"
            "import time; time.sleep(0.6); os.kill(os.getpid(), 9)\n")
    recording = tmp_path / "000" / "recording.h5"
    assert subprocess.run([sys.executable, "-c", code, str(recording)]).returncode == -signal.SIGKILL
    assert not recording.exists()
    (take,) = json.loads(firsthand("recover", tmp_path, "--json").stdout)
    assert take["path"] == str(recording) and take["saved"]["imu"] >= 1900 and not take["problem"]
    assert [p.name for p in recording.parent.iterdir()] == ["recording.h5"]
    assert "nothing was interrupted" in firsthand("recover", tmp_path).stdout
    refused(firsthand("recover", tmp_path / "nowhere.part"), "no interrupted recording")
