import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_bc.py"


def train(dataset: Path, steps: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLE), str(dataset), "--steps", str(steps)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_example_learns_from_an_export_and_says_how_it_compares(dataset: Path) -> None:
    run = train(dataset, 60)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = re.findall(r"^ +(\d+) +(nan|[\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", run.stdout, re.M)
    first, last = rows[0], rows[-1]
    assert int(last[0]) == 60
    assert float(last[2]) < float(first[2])
    assert float(last[2]) < float(last[3])
    assert "of holding still" in run.stdout


def test_the_example_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    run = train(tmp_path / "missing", 1)
    assert run.returncode == 1
    assert run.stderr.strip().endswith("--format lerobot-v3'")
    assert "Traceback" not in run.stderr
