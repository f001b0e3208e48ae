"""Our LeRobot v3.0 exports in the real LeRobot. Deselected by default; `make interop` runs it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.annotation import Annotation, Segment, write_annotation
from firsthand.capture.library import find_episodes, new_session
from firsthand.capture.recorder import record
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.datasets.formats import export
from firsthand.datasets.video_writer import VideoOptions

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
READER = "checks/readers/read_lerobot_v30.py"


def report(text: str) -> Any:
    """The JSON document on the last line a script printed."""
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(params=[2, 15], ids=["gop2", "gop15"])
def dataset(request: pytest.FixtureRequest, tiny_library: Path, tmp_path: Path) -> Path:
    """The tiny library as LeRobot v3.0, its first episode labelled."""
    episodes = find_episodes(tiny_library)
    write_annotation(episodes[0].annotations_path, Annotation(48, "fill the bowl", True, 5, (), {"subtask": (Segment(0, 20, "reach"),)}))
    return export(episodes, tmp_path / "out", format="lerobot-v3", robot="panda_gripper", video=VideoOptions(gop=request.param)).path


def test_lerobot_reads_every_row_with_its_own_picture_and_texts(dataset: Path, in_lerobot: Callable[..., str]) -> None:
    found = report(in_lerobot(HERE / "load_lerobot.py", str(dataset), "--barcode"))
    assert (found["rows"], found["episodes"], found["fps"], found["wrong_pictures"]) == (88, 2, 30, [])
    assert found["texts"] == [["fill the bowl", "reach"], ["fill the bowl", "unlabelled"], ["put the red cube into the bowl", "unlabelled"]]
    stats = json.loads((dataset / "meta/stats.json").read_text())
    np.testing.assert_allclose(found["state_mean"], stats["observation.state"]["mean"], atol=1e-6)


def test_the_acceptance_reader_takes_the_export(shared: Path, dataset: Path, in_lerobot: Callable[..., str]) -> None:
    found = report(in_lerobot(shared / READER, str(dataset), "--barcode"))
    assert found["ok"]
    assert (found["episodes"], found["frames"], found["frames_compared"], found["warnings"]) == (2, 88, 88, [])


@pytest.mark.parametrize("robot", ["panda_gripper", "allegro_right"])
def test_the_acceptance_reader_takes_a_real_video(shared: Path, real_library: Path, robot: str, tmp_path: Path,
                                                  firsthand: Callable[..., str], in_lerobot: Callable[..., str]) -> None:
    firsthand("export", real_library, tmp_path / "out", "--format", "lerobot-v3", "--robot", robot)
    found = report(in_lerobot(shared / READER, str(tmp_path / "out")))
    assert found["ok"]
    assert (found["episodes"], found["frames"], found["frames_compared"], found["warnings"]) == (1, 621, 621, [])


def test_the_acceptance_reader_takes_two_hands_in_the_world(shared: Path, tmp_path: Path, firsthand: Callable[..., str],
                                                            in_lerobot: Callable[..., str]) -> None:
    wearer = Wearer(seed=1, task="fold", duration_s=3, fps=15)
    with new_session(tmp_path / "library", "fold") as session:
        record(wearer.drivers(), session / "000" / "recording.h5", task=wearer.task.instruction)
    firsthand("process", tmp_path / "library", "--robot", "panda_gripper")
    firsthand("export", tmp_path / "library", tmp_path / "out", "--format", "lerobot-v3", "--robot", "panda_gripper")
    found = report(in_lerobot(shared / READER, str(tmp_path / "out")))
    assert found["ok"] and found["frames_compared"] == found["frames"] == 45
    assert found["features"]["observation.state"] == ["float32", [20]] and found["tasks"] == [wearer.task.instruction]


def test_the_page_opens_the_export_in_lerobot_as_it_says(dataset: Path, tmp_path: Path, in_lerobot: Callable[..., str]) -> None:
    page = (HERE.parents[1] / "docs/formats/lerobot-v3.md").read_text()
    code, = re.findall(r"```python lerobot\n(.*?)```", page, re.S)
    script = tmp_path / "snippet.py"
    prepare = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport with_lerobot\nwith_lerobot.prepare()\n"
    script.write_text(prepare + code.replace('"OUT"', repr(str(dataset))))
    assert "fill the bowl reach torch.Size([3, 120, 160])" in in_lerobot(script)


SMALL_ACT = ("--policy.type=act", "--policy.pretrained_backbone_weights=null", "--policy.chunk_size=8", "--policy.n_action_steps=8",
             "--policy.dim_model=64", "--policy.dim_feedforward=64", "--policy.n_heads=2")  # fmt: skip
SMALL_DIFFUSION = ("--policy.type=diffusion", "--policy.down_dims=[32,64]", "--policy.crop_shape=[84,84]",
                   "--policy.num_train_timesteps=10")  # fmt: skip


@pytest.mark.parametrize("policy", [SMALL_ACT, SMALL_DIFFUSION], ids=["act", "diffusion"])
@pytest.mark.parametrize("dataset", [2], indirect=True)
def test_lerobot_trains_on_the_export(policy: tuple[str, ...], dataset: Path, tmp_path: Path, in_lerobot: Callable[..., str]) -> None:
    in_lerobot(HERE / "train_lerobot.py", "--dataset.repo_id=local/check", f"--dataset.root={dataset}", "--policy.device=cpu",
               "--policy.push_to_hub=false", f"--output_dir={tmp_path / 'run'}", "--steps=2", "--batch_size=2", "--num_workers=0",
               "--save_checkpoint=false", *policy)
