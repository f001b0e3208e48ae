import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "lerobot-v3.md").read_text()


def test_the_page_loads_a_dataset_as_it_says(dataset: Path) -> None:
    code, = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    checks = "assert pictures.shape[1:] == (2, 3, 120, 160) and weight.shape == action.shape\n"
    run = subprocess.run([sys.executable, "-c", code.replace('"OUT"', repr(str(dataset))) + checks], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_page_names_every_column(dataset: Path) -> None:
    for name in json.loads((dataset / "meta/info.json").read_text())["features"]:
        assert f"`{name}`" in PAGE, f"{name} is missing from docs/formats/lerobot-v3.md"
