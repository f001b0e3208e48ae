"""Each driver and emulator of a wearable has its page, which names every option; and what drivers need is in an extra."""

import inspect
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from firsthand.capture.driver import DRIVERS
from firsthand.capture.emulator import EMULATORS, Emulation, emulate
from firsthand.capture.emulators.outlet import OUTLETS, open_outlet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import find

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "devices"
WEARABLES = ("lsl", "lucidgloves", "manus", "quest", "rokoko", "rokoko-sdk", "stretchsense", "udcap", "vision-pro", "xsens")
PACKAGES = {"serial": "pyserial", "zmq": "pyzmq", "lz4": "lz4", "grpc": "grpcio", "pylsl": "pylsl"}


@pytest.mark.parametrize("name", WEARABLES)
def test_the_page_of_a_driver_names_every_option(name: str) -> None:
    page = (PAGES / f"{name.removesuffix('-sdk')}.md").read_text()
    missing = [option for option in inspect.signature(find("drivers", DRIVERS, name)).parameters
               if f"`{option}`" not in page and f"\n{option} = " not in page]
    assert not missing, f"the page of {name} does not name {missing}"
    assert f"[`{name}`](" in (PAGES / "README.md").read_text()


def test_every_emulator_and_outlet_is_in_a_page() -> None:
    pages = "".join(page.read_text() for page in PAGES.glob("*.md"))
    assert not [name for name in EMULATORS if f"firsthand emulate {name} " not in pages and f"{name} is not" not in pages]
    assert not [kind for kind in OUTLETS if f"{kind}://" not in pages]


@pytest.mark.parametrize("name", WEARABLES)
def test_what_a_driver_needs_is_in_the_extra_that_it_names(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needs = getattr(import_module(find("drivers", DRIVERS, name).__module__), "NEEDS", {})
    for module, extra in needs.items():
        assert any(line.startswith(PACKAGES[module]) for line in extras[extra]), f"{module} is not in {extra}"


@pytest.mark.parametrize("name", [name for name in EMULATORS if name not in ("glove", "imu", "lsl") and "camera" not in name])
def test_the_same_seed_sends_the_same_and_another_another(name: str, bench: type) -> None:
    one, again, other = (bench.sent(name, Emulation(seed=seed), 0.1) for seed in (1, 1, 2))  # type: ignore[attr-defined]
    assert one == again != other and len(one) > 5
    assert [t for t, _ in one] == sorted(t for t, _ in one)


def test_a_place_that_cannot_be_is_told() -> None:
    with pytest.raises(FirsthandError, match=r"cannot send to 'carrier:pigeon'; write udp://.* or, for devices that speak so, grpc://"):
        open_outlet("carrier:pigeon")
    with pytest.raises(FirsthandError, match=r"cannot connect to tcp://127\.0\.0\.1:1: .*start the recorder first"):
        emulate("quest", "tcp://127.0.0.1:1", Emulation(seconds=0.1))
