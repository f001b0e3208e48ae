"""How the recorder's processes talk."""

import json
import subprocess
import sys
import time

import numpy as np

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.live.wire import calibration_from_json, calibration_to_json, spec_from_json, spec_to_json
from firsthand.capture.stream import StreamSpec

TALKER = """
import sys, time
from firsthand.capture.live.wire import Outbox
outbox, begun = Outbox(), time.monotonic()
print("a library's chatter")
for i in range(20_000):
    outbox.say("status", number=i, filling="x" * 100)
outbox.say("stopped", number=-1)
print(f"{time.monotonic() - begun:.3f}", file=sys.stderr, flush=True)
sys.stdin.read()
outbox.flush()
"""


def test_a_process_never_waits_for_who_listens_and_what_matters_arrives() -> None:
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", TALKER], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert child.stderr is not None
    assert child.stderr.readline() == "a library's chatter\n", "what is printed goes to the log"
    assert float(child.stderr.readline()) < 5, "nobody read a line so far, and 2 MB do not fit a pipe"
    time.sleep(0.1)
    heard = [json.loads(line) for line in child.communicate(timeout=10)[0].splitlines()]
    assert [h["number"] for h in heard if h["event"] == "stopped"] == [-1]
    numbers = [h["number"] for h in heard if h["event"] == "status"]
    assert numbers == sorted(numbers) and numbers[-1] == 19_999 and len(numbers) < 20_000


def test_descriptions_and_optics_survive_the_way() -> None:
    spec = StreamSpec("head", "encoded", "camera", encoding="h264", rate_hz=30, width_px=640, height_px=480, extra={"serial": "x"},
                      extradata=bytes(range(256)))
    glove = StreamSpec("glove", "numeric", "glove", names=("a", "b"), units=("rad", "rad"), side="left")
    for one in (spec, glove):
        assert spec_from_json(json.loads(json.dumps(spec_to_json(one)))) == one
    camera = CameraCalibration(np.diag([500.123456789, 501.0, 1.0]), 640, 480, np.array([0.1, -0.2]), np.eye(4), "factory")
    again = calibration_from_json(json.loads(json.dumps(calibration_to_json(Calibration({"head": camera}))))).cameras["head"]
    assert np.array_equal(again.K, camera.K) and np.array_equal(again.distortion, camera.distortion) and again.source == "factory"
