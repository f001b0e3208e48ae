"""The rig files in examples/ open as they are, and the pages of their drivers name every option."""

import inspect
from pathlib import Path

import pytest

from firsthand.capture.driver import DRIVERS
from firsthand.capture.drivers.pattern import PatternCamera, PatternSensor
from firsthand.capture.plugins import find
from firsthand.capture.rig import load_rig

ROOT = Path(__file__).parents[2]
RIGS = [ROOT / "examples" / "rigs" / f"{name}.toml" for name in ("synthetic", "pattern", "emulated-glove", "emulated-quest")]


@pytest.mark.parametrize("path", RIGS, ids=lambda path: path.stem)
def test_an_example_rig_opens_as_it_is(path: Path) -> None:
    rig = load_rig(path)
    streams = [spec for device in rig.devices for driver in find("drivers", DRIVERS, device.driver)(**device.options)
               for spec in driver.streams]
    names = [spec.name for spec in streams]
    assert len(set(names)) == len(names) > 1
    encoded = {name for device in rig.devices for name in device.encode}
    assert encoded == {spec.name for spec in streams if spec.encoding == "raw"}


@pytest.mark.parametrize("name", ["pattern", "json", "synthetic", "realsense", "uvc"])
def test_the_page_of_a_driver_names_every_option(name: str) -> None:
    page = (ROOT / "docs" / "devices" / f"{name}.md").read_text()
    options = list(inspect.signature(find("drivers", DRIVERS, name)).parameters)
    if name == "pattern":
        options += [*PatternCamera.__dataclass_fields__, *PatternSensor.__dataclass_fields__]
    missing = [option for option in options if f"`{option}`" not in page]
    assert not missing, f"docs/devices/{name}.md does not name {missing}"
