"""WebDataset: a take a clip, straight from the tar; what is broken, or meant to harm, in one sentence."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import DamagedError
from firsthand.capture.importer import look
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode

FRAMES = 12


def npy(values: np.ndarray, **how: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **how)
    return file.getvalue()


def pack(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def members(film: Callable[..., bytes]) -> list[tuple[str, bytes]]:
    """Two clips of our profile, one with little beside."""
    rng = np.random.default_rng(0)
    said = {"fps": 30, "episode": "kitchen/000", "start": 0, "task": "pour the water", "success": True, "source": "fleet",
            "state_names": ["x", "y", "z"]}
    return [
        ("000000.mp4", film(FRAMES, b_frames=2)), ("000000.state.npy", npy(rng.normal(0, 1, (FRAMES, 3)).astype(np.float32))),
        ("000000.action.npy", npy(rng.normal(0, 1, (FRAMES, 2, 2)))), ("000000.timestamp.npy", npy(np.arange(FRAMES) / 30)),
        ("000000.json", json.dumps(said).encode()), ("000000.txt", b"ignored, as the JSON has a task"),
        ("clips/000001.mp4", film(5)), ("clips/000001.txt", b" wave \n"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), [("shard-000000.tar", "w"), ("shard.tar.gz", "w:gz")])
def test_clips_come_in_with_their_arrays(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode],
                                         film: Callable[..., bytes], name: str, mode: str) -> None:
    import av

    shard = pack(tmp_path / name, members, mode)
    assert [take.name for take in look(shard, Asked()).takes] == ["000000", "clips/000001"]
    episode = bring_in(shard, 0)
    with episode.recording() as recording, av.open(io.BytesIO(members[0][1])) as container:
        assert (recording.source, recording.task) == ("fleet", "pour the water")
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        assert [recording["head"].row_payload(i) for i in range(FRAMES)] == packets
        for stream, at in (("state", 1), ("action", 2), ("timestamp", 3)):
            values = np.load(io.BytesIO(members[at][1])).reshape(FRAMES, -1)
            np.testing.assert_array_equal(recording[stream].values, values)
            np.testing.assert_array_equal(recording[stream].t_ns, recording["head"].t_ns)
        assert recording["state"].spec.names == ("x", "y", "z") and recording["action"].spec.names == ("0", "1", "2", "3")
    annotation = read_annotation(episode.annotations_path)
    assert annotation and annotation.success and annotation.instruction == "pour the water"
    with bring_in(shard, 1).recording() as recording:
        assert len(recording["head"]) == 5 and recording.task == "wave" and recording.source == "egocentric"


@pytest.mark.parametrize(("extra", "why"), [
    (("../../etc/cron.d/x.mp4", b""), "points out of the archive"), (("/tmp/x.mp4", b""), "points out of the archive"),
    (("a\\..\\..\\x.mp4", b""), "points out of the archive"), (("000000.json", b"{}"), "is in it twice"),
])  # fmt: skip
def test_a_shard_that_is_not_to_be_trusted_is_refused(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode],
                                                      extra: tuple[str, bytes], why: str) -> None:
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(pack(tmp_path / "shard.tar", [*members, extra]))
    assert "\n" not in str(told.value)


def test_links_are_refused(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode]) -> None:
    shard = pack(tmp_path / "shard.tar", members)
    with tarfile.open(shard, "a") as tar:
        link = tarfile.TarInfo("000000.depth.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DamagedError, match="is a link or a device"):
        bring_in(shard)


@pytest.mark.parametrize(("name", "data", "why"), [
    ("000000.state.npy", npy(np.array([{"a": 1}] * FRAMES), allow_pickle=True), "no array of plain numbers"),
    ("000000.state.npy", b"\x80\x04N.", "no array of plain numbers"),
    ("000000.state.npy", npy(np.zeros((FRAMES, 3)))[:150], "no array of plain numbers"),
    ("000000.state.npy", npy(np.zeros((FRAMES - 1, 3))), "differ in length"),
    ("000000.state.npy", npy(np.array(["x"] * FRAMES)), "no array of plain numbers"),
    ("000000.json", b"{", "is not JSON"), ("000000.json", b"[" * 100_000, "is not JSON"), ("000000.json", b"[]", "no object"),
    ("000000.mp4", b"nothing", "no video FFmpeg can open"),
])  # fmt: skip
def test_members_that_are_broken_are_told(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode], name: str,
                                          data: bytes, why: str) -> None:
    shard = pack(tmp_path / "shard.tar", [(n, data if n == name else d) for n, d in members])
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(shard, 0)
    assert str(shard) in str(told.value) and "\n" not in str(told.value)


def test_a_clip_of_another_length_than_its_rows_is_refused(tmp_path: Path, members: list[tuple[str, bytes]], film: Callable[..., bytes],
                                                           bring_in: Callable[..., Episode]) -> None:
    shard = pack(tmp_path / "shard.tar", [(n, film(FRAMES + 3) if n == "000000.mp4" else d) for n, d in members])
    with pytest.raises(DamagedError, match="15 frames where 12 are wanted"):
        bring_in(shard, 0)


def test_a_shard_cut_off_anywhere_is_told(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode]) -> None:
    whole = pack(tmp_path / "whole.tar", members).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for size in range(100, end, 511):
        shard = tmp_path / f"cut{size}.tar"
        shard.write_bytes(whole[:size])
        with pytest.raises(DamagedError, match="cut off or damaged"):
            bring_in(shard, 0)


def test_a_packed_shard_cut_off_is_told(tmp_path: Path, members: list[tuple[str, bytes]], bring_in: Callable[..., Episode]) -> None:
    shard = pack(tmp_path / "shard.tar.gz", members, "w:gz")
    shard.write_bytes(shard.read_bytes()[:-600])
    with pytest.raises(DamagedError, match="cut off or damaged"):
        bring_in(shard, 0)
