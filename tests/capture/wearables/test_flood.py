"""One device of a rig goes mad: the others of the episode lose nothing, and what it lost is written down."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig


def test_a_flood_at_a_hundred_times_the_rate_disturbs_no_other_stream(bench: Any, flood: Any, tmp_path: Path) -> None:
    port, numbers = bench.port(), itertools.count()
    quest = Device("quest", "quest", {"bind": f"127.0.0.1:{port}", "sender": "127.0.0.1"})
    sensor = {"name": "imu", "columns": 6, "rate_hz": 200, "role": "imu"}
    rig = Rig("worn", (quest, Device("imu", "pattern", {"sensors": [sensor]})), pre_roll_s=0)
    message = next(m for _, m in bench.sent("quest-unstamped", seconds=0.1))
    with flood(port, message, hz=70), Supervisor(rig, tmp_path / "logs", lambda: tmp_path / f"{next(numbers):03d}") as recorder:
        assert recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 30), recorder.status()
        take = recorder.start("try")
        time.sleep(1)
        with flood(port, message, hz=7000) as sending, flood(port, b"x" * 1200, hz=7000, host="127.0.0.3"):
            time.sleep(2)
        assert sending.count > 5000
        time.sleep(1)
        recorder.stop()
        assert recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", 30), recorder.status()
    with Recording(take / "recording.h5") as recording:
        imu, hand = recording["imu"], recording["hand-left"]
        np.testing.assert_array_equal(np.diff(imu.sequence), 1)
        assert not [gap for _, gap in recording.gaps if gap["stream"] == "imu"]
        assert len(imu) > 0.9 * (imu.host_ns[-1] - imu.host_ns[0]) * 200e-9 and 100 < len(hand) < 3500
        assert sum(gap["missing"] for _, gap in recording.gaps if gap["stream"] == "hand-left") > 1000
        assert hand.host_ns[-1] - hand.host_ns[0] > 3e9  # it was there before, and is after
