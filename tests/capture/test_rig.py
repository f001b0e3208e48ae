"""Rig files: what is right is read, what is wrong is one sentence."""

import re
from pathlib import Path

import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.rig import Device, load_rig

WHOLE = """
name = "kitchen"
pre_roll_s = 1
sync = "kitchen.sync.json"

[[device]]
name = "head"
driver = "pattern"
on_lost = "stop"
[device.options]
seed = 3
[device.encode]
head = "jpeg:85"

[[device]]
name = "gloves"
driver = "my_lab.gloves:open_gloves"
required = false
"""


def rig_file(folder: Path, text: str) -> Path:
    path = folder / "rig.toml"
    path.write_text(text)
    return path


def test_a_rig_file_is_read_as_written(tmp_path: Path) -> None:
    rig = load_rig(rig_file(tmp_path, WHOLE))
    assert (rig.name, rig.pre_roll_s, rig.sync, rig.source) == ("kitchen", 1, tmp_path / "kitchen.sync.json", "wearable")
    assert rig.devices == (Device("head", "pattern", {"seed": 3}, {"head": "jpeg:85"}, True, "stop"),
                           Device("gloves", "my_lab.gloves:open_gloves", {}, {}, False, "continue"))


def test_a_rig_without_a_name_is_called_as_its_file(tmp_path: Path) -> None:
    assert load_rig(rig_file(tmp_path, '[[device]]\nname = "a"\ndriver = "pattern"')).name == "rig"


@pytest.mark.parametrize(("text", "wanted"), [
    ("", "names no device"),
    ("name = ", "is no TOML"),
    ('[[device]]\nname = "a"', "device 1 has no driver"),
    ('[[device]]\ndriver = "pattern"', "device 1 has no name"),
    ('[[device]]\nname = "a"\ndriver = "patern"', "no driver called 'patern'; did you mean 'pattern'?"),
    ('[[device]]\nname = "a"\ndriver = "pattern"\n[[device]]\nname = "a"\ndriver = "pattern"', "two devices are called 'a'"),
    ('[[device]]\nname = "a"\ndriver = "pattern"\nrequird = true', "no key called 'requird'; did you mean 'required'?"),
    ('[[device]]\nname = "a"\ndriver = "pattern"\nrequired = 1', "required cannot be 1"),
    ('[[device]]\nname = "a"\ndriver = "pattern"\non_lost = "wait"', "on_lost is 'wait'; it is 'continue' or 'stop'"),
    ('pre_roll_s = 400\n[[device]]\nname = "a"\ndriver = "pattern"', "ask for 0 to 30 seconds"),
    ('pre_rol_s = 4\n[[device]]\nname = "a"\ndriver = "pattern"', "did you mean 'pre_roll_s'?"),
])
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(FirsthandError, match=re.escape(wanted)) as caught:
        load_rig(rig_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_rig_file_that_is_not_there_says_where_to_find_one(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="examples/rigs"):
        load_rig(tmp_path / "none.toml")


def test_every_example_is_a_rig() -> None:
    examples = sorted((Path(__file__).parents[2] / "examples" / "rigs").glob("*.toml"))
    assert examples
    for path in examples:
        load_rig(path)
