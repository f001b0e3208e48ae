"""Messages of any device read as the rig file says: literal examples, and whatever a line may bring."""

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Layout, Reading

GLOVE = (b'{"seq":0,"t_us":561204,"hand":"right","deg":[3.61,7.69,5.71,21.26,6.97,8.48,4.64,-10.22,6.49,10.4,4.23,-1.14,7.41,10.21,4.7,'
         b"6.81,8.54,8.68,4.77,15.9]}")
"""One packet of the emulated glove as it is on the wire: the emulator's tests hold it to the same bytes."""
IMU = b'{"seq":0,"t_us":561204,"acc":[-0.0963,-5.5417,-8.0797],"gyr":[1.1749,-0.7704,0.4985]}'


def reading(layout: Layout, message: bytes) -> Reading:
    found = layout.read(message)
    assert isinstance(found, Reading), found
    return found


def test_the_glove_s_packet_is_read() -> None:
    layout = Layout("json", [f"a{i}" for i in range(20)], array="deg", units="deg", stamp="t_us", sequence="seq")
    found = reading(layout, GLOVE)
    assert (found.device_ns, found.sequence) == (561_204_000, 0)
    np.testing.assert_allclose(found.values[[0, 1, 19]], np.radians([3.61, 7.69, 15.9]), rtol=1e-15)
    assert layout.si_units == ("rad",) * 20


def test_fields_have_paths_and_each_column_its_unit() -> None:
    fields = ["acc.0", "acc.1", "acc.2", "gyr.0", "gyr.1", "gyr.2"]
    layout = Layout("json", ["ax", "ay", "az", "gx", "gy", "gz"], fields=fields, units=["m/s^2"] * 3 + ["deg/s"] * 3, sequence="seq")
    np.testing.assert_allclose(reading(layout, IMU).values, [-0.0963, -5.5417, -8.0797, *np.radians([1.1749, -0.7704, 0.4985])])
    assert layout.si_units == ("m/s^2",) * 3 + ("rad/s",) * 3
    assert reading(layout, IMU).device_ns is None


@pytest.mark.parametrize(("unit", "one", "si"), [
    ("deg", math.pi / 180, "rad"), ("g", 9.80665, "m/s^2"), ("mm", 1e-3, "m"), ("hPa", 100, "Pa"), ("%", 0.01, "1"),
    ("counts", 1, "counts"),
])  # fmt: skip
def test_units_are_converted_once_and_unknown_ones_kept(unit: str, one: float, si: str) -> None:
    layout = Layout("json", ["x"], units=unit)
    assert reading(layout, b'{"x": 2}').values[0] == pytest.approx(2 * one, rel=1e-15)
    assert layout.si_units == (si,)


def test_a_line_of_text_is_read_by_its_header() -> None:
    layout = Layout("csv", ["bend", "spread"], header=["n", "t", "bend", "battery", "spread"], stamp="t", stamp_unit="ms", sequence="n")
    found = reading(layout, b"41, 1500.25, 0.5,99,-1e-2")
    assert (found.device_ns, found.sequence, found.values.tolist()) == (1_500_250_000, 41, [0.5, -0.01])
    assert np.isnan(reading(layout, b"41,1500,,99,1").values[0])
    assert reading(Layout("csv", ["a", "b"], separator=" "), b"  1   2 ").values.tolist() == [1, 2]


@pytest.mark.parametrize(("unit", "text", "ns"), [
    ("ns", "9007199254740993", 9_007_199_254_740_993), ("us", "1732280000000001", 1_732_280_000_000_001_000),
    ("s", "1.25", 1_250_000_000), ("ms", "-3", -3_000_000),
])  # fmt: skip
def test_whole_stamps_stay_exact(unit: str, text: str, ns: int) -> None:
    assert reading(Layout("json", ["x"], stamp="t", stamp_unit=unit), f'{{"x":0,"t":{text}}}'.encode()).device_ns == ns


def test_missing_values_are_nan() -> None:
    values = reading(Layout("json", ["x", "y"]), b'{"x": null, "y": NaN}').values
    assert np.isnan(values).all()


@pytest.mark.parametrize(("message", "why"), [
    (b"", "it is not JSON"), (b"\xff\xfe", "it is not text"), (b'{"x":1,', "it is not JSON"), (b"[" * 5000 + b"]" * 5000, "it is not JSON"),
    (b"17", "'x' is missing"), (b"{}", "'x' is missing"), (b'{"x":"1"}', "'x' is not a number"), (b'{"x":true}', "'x' is not a number"),
    (b'{"x":[1]}', "'x' is not a number"), (b'{"x":Infinity}', "'x' is too large"), (b'{"x":1e999}', "'x' is too large"),
    (b'{"x":' + b"9" * 400 + b"}", "'x' is too large"), (b'{"x":' + b"9" * 5000 + b"}", "it is not JSON"), (b'{"x":1}', "'t' is missing"),
    (b'{"x":1,"t":null,"n":1}', "'t' is empty"), (b'{"x":1,"t":1e300,"n":1}', "'t' is too large"),
    (b'{"x":1,"t":1,"n":1.5}', "'n' is not a whole number"),
    (b'{"x":1,"t":1,"n":-1}', "'n' is negative"), (b'{"x":1,"t":1,"n":1e30}', "'n' is too large"),
    (b'{"x":1,"t":1,"n":null}', "'n' is not a whole number"),
])  # fmt: skip
def test_what_cannot_be_read_says_why(message: bytes, why: str) -> None:
    assert Layout("json", ["x"], stamp="t", sequence="n").read(message) == why


@pytest.mark.parametrize(("message", "why"), [
    (b"1,2,3", "it has not 2 fields"), (b"1,x", "'b' is not a number"), (b"1,1_0", "'b' is not a number"), (b"1,inf", "'b' is too large"),
])  # fmt: skip
def test_lines_that_cannot_be_read_say_why(message: bytes, why: str) -> None:
    assert Layout("csv", ["a", "b"]).read(message) == why


def test_a_number_that_its_unit_makes_too_large_is_none() -> None:
    """It became infinite, with a warning: -1e308 g is more m/s^2 than a float holds."""
    assert Layout("csv", ["a", "b"], units="g").read(b"1,-1e308") == "a number that is too large"


def test_nothing_that_arrives_can_break_the_reader() -> None:
    """Bytes flipped, cut, doubled, and well-formed messages of random shape: an answer every time, the reasons few."""
    layouts = [Layout("json", ["a"], array="deg", stamp="t_us", sequence="seq"), Layout("csv", ["a", "b", "c"], stamp="a", sequence="b"),
               Layout("json", ["acc.0", "deep.er.0"], stamp="t_us", stamp_unit="s", sequence="seq")]
    dice, reasons = random.Random(1), set()
    leaves: list[Any] = [0, -1, 1.5, 1e308, 10**30, "x", "", None, True, [], {}, [1], "\u0000", math.nan, math.inf, [[[]]], {"0": 1}]
    for _ in range(20_000):
        if dice.random() < 0.5:
            message = bytearray(dice.choice([GLOVE, IMU, b"1,2,3", b"-1,,nan"]))
            for _ in range(dice.randrange(1, 6)):
                at = dice.randrange(len(message) + 1)
                message[at : at + dice.randrange(3)] = bytes(dice.randrange(256) for _ in range(dice.randrange(3)))
            data = bytes(message[: dice.randrange(len(message) + 1)])
        else:
            keys = dice.sample(["deg", "t_us", "seq", "acc", "deep", "acc.0", ""], dice.randrange(6))
            data = json.dumps({key: dice.choice(leaves) for key in keys}).encode()
        for layout in layouts:
            found = layout.read(data)
            if isinstance(found, str):
                reasons.add(found)
            else:
                assert not np.isinf(found.values).any() and (found.sequence is None or 0 <= found.sequence < 2**63)
    assert len(reasons) < 30


@pytest.mark.parametrize(("options", "message"), [
    ({"format": "xml"}, "format is 'xml'; messages are 'json' or 'csv'"),
    ({"columns": []}, "name at least one"),
    ({"columns": ["a", "a"]}, "each by another name"),
    ({"stamp_unit": "min"}, "stamp_unit is 'min'; it is one of s, ms, us, ns"),
    ({"units": ["deg"]}, "1 units are given for 2 columns"),
    ({"fields": ["a", "b", "c"]}, "3 fields are given for 2 columns"),
    ({"format": "csv", "header": ["n", "a"]}, "the field 'b' is not in the header of the line"),
    ({"format": "csv", "stamp": "t"}, "the field 't' is not in the header"),
    ({"format": "csv", "array": "v"}, "array is for json"),
])  # fmt: skip
def test_impossible_layouts_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        Layout(**{"format": "json", "columns": ["a", "b"], **options})
