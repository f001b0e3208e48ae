"""Every source of hands, driver or importer, delivers the same kind of stream: docs/recording-format.md, "Hands"."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.driver import DRIVERS
from firsthand.capture.emulator import Emulation
from firsthand.capture.hand_stream import GLOVE_COLUMNS, HAND_COLUMNS, HAND_UNITS, ORIGINS, hand_spec
from firsthand.capture.importers.aria_hands import aria_hand
from firsthand.capture.skeleton import JOINTS, KNUCKLES, SIDES, TIPS
from firsthand.capture.stream import StreamSpec

GLOVES = {"60f3738b": "left", "8569617b": "right"}
HERE, THERE = {"bind": "127.0.0.1:9", "sender": "127.0.0.1"}, {"connect": "127.0.0.1:9"}
TRACKERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "quest": ("quest", HERE, "world"), "vision-pro": ("vision-pro", THERE, "world"), "rokoko": ("rokoko", HERE, "world"),
    "xsens": ("xsens", HERE, "world"), "rokoko-sdk": ("rokoko-sdk", THERE, "glove"),
    "manus": ("manus", {**THERE, "gloves": GLOVES}, "glove"),
    "manus-bridge": ("manus", {**THERE, "format": "bridge", "axes": "z-forward"}, "glove"),
    "stretchsense": ("stretchsense", THERE, "wrist"),
}  # fmt: skip
"""Emulator -> driver, its options, and where its places begin."""
GLOVE_DRIVERS: dict[str, dict[str, Any]] = {"manus": THERE, "udcap": HERE, "lucidgloves": {"port": "/dev/null", "side": "left"}}
OTHERS = {"json", "lsl", "pattern", "realsense", "synthetic", "uvc"}
"""Their streams are as the rig file says, or have no hands."""
FIXED = {"world": "z", "glove": "z", "wrist": None}


def agreed(spec: StreamSpec) -> None:
    """A hand stream as the page says."""
    assert spec.kind == "numeric" and spec.role == "pose" and spec.side in SIDES and spec.name.endswith(f"hand-{spec.side}")
    assert spec.names[:67] == HAND_COLUMNS and spec.units[:67] == HAND_UNITS and spec.about == ""
    assert spec.extra["origin"] in ORIGINS and spec.extra.get("up") in ("z", None)
    assert all(isinstance(spec.extra[key], str) and spec.extra[key] for key in ("device", "axes", "converted"))
    assert set(spec.extra.get("estimated", ())) <= set(JOINTS)


def curl_into_palm_m(points_m: Any, side: str) -> float:
    """How far the fingertips lie on the palm's side of the knuckles, (N, 21, 3): below zero for a hand that is mirrored."""
    index, little = (points_m[:, joint] - points_m[:, 0] for joint in (KNUCKLES[0], KNUCKLES[-1]))
    normal = np.cross(index, little) if side == "right" else np.cross(little, index)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    bent = points_m[:, TIPS[1:]] - points_m[:, KNUCKLES]
    return float(np.nanmean(np.einsum("nfk,nk->nf", bent, normal)))


def test_every_driver_is_told_of_here() -> None:
    assert {driver for driver, *_ in TRACKERS.values()} | set(GLOVE_DRIVERS) | OTHERS == set(DRIVERS)


@pytest.mark.parametrize("emulator", TRACKERS)
def test_what_trackers_deliver_is_a_hand_in_the_agreed_columns(emulator: str, bench: Any) -> None:
    name, options, origin = TRACKERS[emulator]
    driver = bench.open(name, **options)
    specs = {spec.name: spec for spec in driver.streams if "hand-" in spec.name}
    assert set(specs) == {"hand-left", "hand-right"}
    for spec in specs.values():
        agreed(spec)
        assert spec.extra["origin"] == origin and spec.extra.get("up") == FIXED[origin] and spec.names == HAND_COLUMNS
    rows: dict[str, list[Any]] = {side: [] for side in SIDES}
    for worn in SIDES:
        read = driver._begin()
        for _, message in islice(bench.sent(emulator, Emulation(side=worn), seconds=3.0), 200):
            answer = read(message[4:] if emulator == "stretchsense" else message)  # less its length, which the transport takes off
            assert not isinstance(answer, str), answer
            for side in SIDES:
                if f"hand-{side}" in answer:
                    rows[side].append(answer[f"hand-{side}"].values)
    for side in SIDES:
        values = np.array(rows[side])
        points = values[:, :63].reshape(-1, 21, 3)
        bones = np.linalg.norm(points[:, KNUCKLES] - points[:, :1], axis=2)
        assert len(values) > 30 and np.all((bones > 0.05) & (bones < 0.12)), "metres"
        np.testing.assert_allclose(np.linalg.norm(values[:, 63:67], axis=1), 1, atol=2e-3)
        assert curl_into_palm_m(points, side) > 0.005, "a right hand is a right hand, in right-handed axes"


@pytest.mark.parametrize("name", GLOVE_DRIVERS)
def test_what_gloves_deliver_is_angles_in_the_agreed_columns(name: str, bench: Any) -> None:
    specs = [spec for spec in bench.open(name, **GLOVE_DRIVERS[name]).streams if spec.role == "glove"]
    assert specs
    for spec in specs:
        assert spec.name == f"glove-{spec.side}" and spec.side in SIDES
        if name == "lucidgloves":
            assert set(spec.units) == {"1"} and "not angles" in spec.extra["converted"]
        else:
            assert spec.names == GLOVE_COLUMNS and set(spec.units) == {"rad"}


def test_a_device_that_is_worn_twice_keeps_its_streams_apart(bench: Any) -> None:
    for name, options, _ in TRACKERS.values():
        specs = [spec for spec in bench.open(name, **options, prefix="second-").streams if "hand-" in spec.name]
        assert {spec.name for spec in specs} == {"second-hand-left", "second-hand-right"} and all(spec.side for spec in specs)


@pytest.mark.parametrize("prefix", ["", "mps-"])
def test_arias_hands_are_such_streams_and_missing_ones_nan(prefix: str) -> None:
    landmarks = np.random.default_rng(0).normal(0, 0.1, (4, 21, 3))
    trust = np.array([0.9, np.nan, 0.2, np.nan])
    track = aria_hand("left", np.arange(4), landmarks, np.tile([1.0, 0, 0, 0], (4, 1)), trust, "on the device", prefix=prefix)
    agreed(track.spec)
    assert track.spec.name == f"{prefix}hand-left" and track.spec.extra["origin"] == "device"
    assert track.spec.names[67:] == ("palm.x", "palm.y", "palm.z", "confidence") and track.spec.units[67:] == ("m", "m", "m", "1")
    rows = np.array([sample.data for sample in track.samples])
    assert np.isnan(rows[[1, 3]]).all() and np.isnan(rows[:, 3:6]).all()
    known = np.delete(np.arange(71), [3, 4, 5])
    assert np.isfinite(rows[[0, 2]][:, known]).all()


@pytest.mark.parametrize("name", ["gen2_unit_test.vrs"])
def test_hands_that_real_glasses_saw_are_not_mirrored(name: str, shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyvrs")
    from firsthand.capture.importer import import_file

    source = shared / "data" / "media" / "aria" / name
    if not source.exists():
        pytest.skip(f"{source} is not there")
    with import_file(source, tmp_path / "library")[0].recording() as recording:
        for side in SIDES:
            hand = recording[f"hand-{side}"]
            agreed(hand.spec)
            assert curl_into_palm_m(hand.values[:, :63].reshape(-1, 21, 3), side) > 0.005


@pytest.mark.parametrize("extra", [{}, {"device": "x", "axes": "x", "converted": "x", "origin": "somewhere"},
                                   {"device": "x", "axes": "x", "converted": "x", "origin": "world", "up": "y"}])
def test_a_driver_that_does_not_say_where_its_hands_are_is_a_mistake(extra: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="hand"):
        hand_spec("left", rate_hz=None, extra=extra)
