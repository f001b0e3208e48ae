"""A rig's latencies: kept in a file, carried into recordings, taken off the session times, and certified."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.errors import FirsthandError
from firsthand.capture.latency import Latency, add_latencies, read_latencies, write_latencies
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.recover import recover
from firsthand.capture.stream import Sample, StreamSpec

GLOVE = Latency(-12_345_678, 800_000, "head", "fingers", 0.5, "session/000", "2026-11-22T10:00:00+00:00")
KNOWN = {"glove": GLOVE, "head": Latency(0, 0, "head", "reference"), "elsewhere": GLOVE}


def write(path: Path, latencies: dict[str, Latency] | None, *, finish: bool = True, wrap_ns: int | None = None) -> None:
    rng = np.random.default_rng(0)
    device = np.arange(1200) * 8_333_333 + 10**9
    if wrap_ns:
        device = device % wrap_ns
    host = 10**12 + np.arange(1200) * 8_333_333 + rng.exponential(4e5, 1200).astype(np.int64)
    writer = RecordingWriter(path, latencies=latencies)
    writer.add_stream(StreamSpec("glove", "numeric", "glove", names=("bend",), units=("rad",), rate_hz=120, wrap_ns=wrap_ns))
    writer.add_stream(StreamSpec("film", "numeric", "other", names=("x",), units=("1",), clock="media"))
    for i in range(1200):
        writer.append(Sample("glove", int(device[i]), int(host[i]), i, np.zeros(1)))
    if finish:
        writer.finish()
    else:
        writer.sync()
        writer._close()


def test_the_latency_is_taken_off_and_the_raw_stamps_stay(tmp_path: Path) -> None:
    write(tmp_path / "plain" / "recording.h5", None)
    write(tmp_path / "known" / "recording.h5", KNOWN)
    with Recording(tmp_path / "plain" / "recording.h5") as plain, Recording(tmp_path / "known" / "recording.h5") as known:
        assert plain["glove"].latency is None and known["glove"].latency == GLOVE
        assert (known["glove"].t_ns - plain["glove"].t_ns == 12_345_678).all()
        assert (known["glove"].device_ns == plain["glove"].device_ns).all() and (known["glove"].host_ns == plain["glove"].host_ns).all()
        before, after = certify(plain).streams[-1], certify(known).streams[-1]
    assert (before.calibration_residual_ms, before.calibrated_against) == (None, None)
    assert (after.calibration_residual_ms, after.calibrated_against) == (pytest.approx(0.8), "head")
    assert after.offset_interval_ms == pytest.approx((before.offset_interval_ms or 0) + 0.8)


def test_a_take_that_was_interrupted_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "recording.h5"
    write(path, KNOWN, finish=False)
    with Recording(path.with_name("recording.h5.part")) as live:
        early = live["glove"].t_ns
    recover(path.parent)
    with Recording(path) as recording:
        assert recording["glove"].latency == GLOVE
        assert (recording["glove"].t_ns == early).all()


def test_a_recording_from_before_there_were_latencies_opens(tmp_path: Path) -> None:
    path = tmp_path / "recording.h5"
    write(path, KNOWN)
    with h5py.File(path, "r+") as file:
        for name in ("latency_ns", "latency_error_ns", "latency_from"):
            del file["streams/glove"].attrs[name]
    with Recording(path) as recording:
        assert recording["glove"].latency is None and len(recording["glove"].t_ns) == 1200


def test_a_counter_of_a_known_range_wraps_as_the_device_says(tmp_path: Path) -> None:
    """A range that is not among the usual ones: nothing would recognise it."""
    write(tmp_path / "straight" / "recording.h5", None)
    write(tmp_path / "wrapped" / "recording.h5", None, wrap_ns=7_000_000_000)
    with Recording(tmp_path / "straight" / "recording.h5") as a, Recording(tmp_path / "wrapped" / "recording.h5") as b:
        assert b["glove"].spec.wrap_ns == 7_000_000_000
        assert len(b["glove"].clock.spans) == 1 and np.abs(a["glove"].t_ns - b["glove"].t_ns).max() < 1000


def test_the_file_reads_back_and_keeps_what_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "rig.sync.json"
    write_latencies(path, KNOWN)
    assert read_latencies(path) == KNOWN
    newer = Latency(5, 6, "head", "fingers")
    assert add_latencies(path, {"glove": newer}) == ["elsewhere", "head"]
    assert read_latencies(path) == {**KNOWN, "glove": newer}
    with pytest.raises(FirsthandError, match="are against head, these against wrist; save to another file"):
        add_latencies(path, {"glove": Latency(0, 0, "wrist", "reference")})


@pytest.mark.parametrize(("text", "sentence"), [
    (None, "is not there; record half a minute of free motion"), ("{", "cannot read .* as a rig's latencies"),
    ('{"format": "other"}', "holds no latencies of a rig"), ("[]", "holds no latencies of a rig"),
    (json.dumps({"format": "firsthand.sync", "version": 2}), "is of version 2"),
    (json.dumps({"format": "firsthand.sync", "version": 1, "streams": {"a": {"x": 1}}}), "is damaged inside"),
], ids=["missing", "cut off", "other", "a list", "newer", "damaged"])  # fmt: skip
def test_a_file_that_is_something_else_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "rig.sync.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FirsthandError) as error:
        read_latencies(path)
    assert re.search(sentence, str(error.value)) and str(path) in str(error.value)
