"""Every wire format's reader, given what no device sends: does it ever crash, hang or grow?

    python bench/fuzz.py [--count 20000] [--only NAME...]

Each reader gets `count` damaged messages (bytes flipped, cut off, doubled, spliced), then as many that are well framed and hold anything:
other numbers in a text's fields, random poses and counters in a binary payload. A reader must answer each with readings of finite or
missing numbers, or with a reason. What comes over TCP is cut into messages first, in one stream that is only begun again, as a driver
does it, when it says that it is none. Crashes are exceptions and numbers that are none; hangs answers that took more than a second of the
processor; growth what the process' memory gained after the first tenth; reasons how many there are (each is counted for ever). Warnings
are errors.

Read is the share of messages that became a reading: of the framed ones it shows that what comes behind the framing was tried too. The last
line is one JSON object; exit 0 only when nothing crashed, hung or grew, and some of either kind were read. `bench/fuzz_files.py` does the
same to the files that are imported.
"""

import argparse
import json
import resource
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counted
from random import Random
from typing import Any

import numpy as np

from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Layout, Reading
from firsthand.capture.plugins import find
from firsthand.capture.synthetic.rotation import from_rotation_vector
from firsthand.capture.transport import Lines
from firsthand.capture.wire_formats.alpha import read_alpha
from firsthand.capture.wire_formats.hand_engine import SizedFrames, read_hand_engine
from firsthand.capture.wire_formats.lsl import LslReader, packed
from firsthand.capture.wire_formats.manus import ManusReader
from firsthand.capture.wire_formats.protobuf import embedded, floating
from firsthand.capture.wire_formats.quest import HtsReader
from firsthand.capture.wire_formats.rgmp import RgmpFrames, RgmpReader
from firsthand.capture.wire_formats.rokoko_studio import read_studio
from firsthand.capture.wire_formats.udcap import read_udcap
from firsthand.capture.wire_formats.vision_pro import read_update
from firsthand.capture.wire_formats.xsens import MvnReader

GOALS = {"crashes": 0, "hangs": 0, "growth_mb": 16.0, "reasons": 64, "read_least": 1}
HANG_S = 1.0
SIDES = {"60f3738b": "left", "8569617b": "right"}
ALPHA = ("A", "B", "C", "D", "E", "F", "G", "P", *(f"({f}{j})" for f in "ABCDE" for j in ("B", "AA", "AB", "AC", "AD")))

Read = Callable[[bytes], Any]
Make = Callable[[Random, list[bytes]], bytes]


def sent(name: str) -> list[bytes]:
    """What an emulator sends in a fifth of a second."""
    return [bytes(message) for _, message in find("emulators", EMULATORS, name)(Emulation(seconds=0.2))]


def odd(rng: Random, data: bytes, share: float = 0.02) -> bytes:
    """Now and then bytes of any kind in place of some of them, the size as it was."""
    if rng.random() > share:
        return data
    at = rng.randrange(len(data))
    return (data[:at] + rng.randbytes(min(12, len(data) - at)) + data[at + 12 :])[: len(data)]


def pool(form: str, rows: int, count: int = 500) -> list[bytes]:
    """Places and unit quaternions of halves, 7 floats a row, made once; messages take theirs from here."""
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=(count, rows, 3)) * (1, 1e3, 1), rng.choice((0.5, -0.5), (count, rows, 4))], 2)
    return [item.astype(form).tobytes() for item in values]


def alpha(rng: Random, _: list[bytes]) -> bytes:
    """A line of the right form."""
    keys = rng.sample(ALPHA, rng.randint(1, len(ALPHA)))
    line = "".join(f"{key}{rng.randrange(4096)}" for key in keys) + "".join(rng.sample("HIJKLMNO", rng.randrange(8)))
    return odd(rng, line.encode())


def mvn() -> Make:
    """Datagrams of the right form."""
    items = {count: [b"".join(struct.pack(">i", n + 1) + flat[28 * n : 28 * n + 28] for n in range(count))
                     for flat in pool(">f4", count, 200)] for count in (23, 40, 63)}

    def make(rng: Random, _: list[bytes]) -> bytes:
        count, fingers = rng.choice(((23, 0), (63, 40), (40, 40)))
        head = struct.pack(">6sIBBIBBBBHH", b"MXTP02", rng.randrange(8), 128, count, rng.randrange(2**32), 0, 23, 0, fingers, 0, 32 * count)
        return head + odd(rng, rng.choice(items[count]), 0.1)

    return make


def rgmp(definitions: list[bytes]) -> Make:
    """Frames of the right form: mostly joints of a device that is known, at growing times."""
    time_us, joints = counted(1000), pool("<f4", 26)

    def make(rng: Random, _: list[bytes]) -> bytes:
        kind = rng.random()
        if kind < 0.05:
            return rng.choice(definitions)
        if kind < 0.1:
            text = renumbered(rng, [definition[8:] for definition in definitions])
            return struct.pack("<II", 1, len(text)) + text
        if kind < 0.12:
            return struct.pack("<III", 3, 4, rng.choice((101, 102, rng.randrange(2**32))))
        t_us = next(time_us) if rng.random() < 0.999 else rng.randrange(2**64)
        payload = struct.pack("<IIQ", rng.choice((101, 102, 101, 102, rng.randrange(2**32))), rng.choice((0, 0, 1, 1, 2)), t_us)
        payload += odd(rng, rng.choice(joints), 0.1)
        return struct.pack("<II", rng.choice((2,) * 30 + (9,)), len(payload)) + payload

    return make


def update(count: int = 1000) -> Make:
    """HandUpdates of the right form."""
    seeds, chance, rigid = np.random.default_rng(0), Random(0), []
    for R, place in zip(from_rotation_vector(seeds.normal(size=(200, 3))), seeds.normal(size=(200, 3)), strict=True):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R, place
        rigid.append(b"".join(floating(n + 1, float(v)) for n, v in enumerate(T.ravel())))

    def matrix() -> bytes:
        if chance.random() < 0.005:
            return b"".join(bytes([8 * n + 5]) + chance.randbytes(4) for n in range(1, chance.randint(1, 16)))
        return chance.choice(rigid)

    def hand() -> bytes:
        joints = b"".join(embedded(1, matrix()) for _ in range(chance.choice((25, 27, 27, 3, 40))))
        return embedded(1, matrix()) + embedded(2, joints)

    hands, heads = [hand() for _ in range(count)], [matrix() for _ in range(count)]

    def make(rng: Random, _: list[bytes]) -> bytes:
        return embedded(1, odd(rng, rng.choice(hands))) + embedded(2, rng.choice(hands)) + embedded(3, rng.choice(heads))

    return make


def sample(rng: Random, _: list[bytes]) -> bytes:
    """An LSL sample of the right length."""
    numbers = [rng.gauss(0, 10.0 ** rng.randrange(-3, 9)) for _ in range(20)] + [rng.choice((rng.randrange(2**62), rng.gauss(0, 1)))]
    head = packed(rng.choice((b"S", b"S", b"S", b"C", b"X")), rng.gauss(0, 1e9), [])
    return head + odd(rng, np.array(numbers, "<f8").tobytes(), 0.1)


def through(cut: Callable[[Counter[str]], Any], begin: Callable[[], Read], greeting: Sequence[bytes] = ()) -> Read:
    """What comes of bytes on a TCP connection, in two pieces: cut into messages, each read. A stream that is none is begun again, as a
    driver does: with a new reader, which hears the `greeting` first."""
    def opened() -> tuple[Any, Read]:
        read = begin()
        for message in greeting:
            read(message)
        return cut(Counter()), read

    cutter, read = opened()

    def both(message: bytes) -> Any:
        nonlocal cutter, read
        half = len(message) // 2
        try:
            packets = [*cutter.add(0, message[:half]), *cutter.add(0, message[half:])]
        except FirsthandError as error:
            cutter, read = opened()
            return str(error)
        answers = [read(packet.data) for packet in packets]
        return next((answer for answer in answers if not isinstance(answer, str)), answers[-1] if answers else {})

    return both


@dataclass(frozen=True)
class Target:
    """A reader, messages it knows, and how to make well-framed ones."""

    read: Read
    seeds: list[bytes]
    framed: Make = renumbered


def targets() -> dict[str, Callable[[], Target]]:
    """Made one at a time."""
    layout = Layout("json", [f"c{n}" for n in range(20)], array="deg", stamp="t_us", sequence="seq", units="deg")
    line = Layout("csv", ("a", "b"), header=("seq", "t", "a", "b"), stamp="t", stamp_unit="ms", sequence="seq", units="g")
    hand, solver = [m[4:] for m in sent("stretchsense")], sent("rokoko-sdk")
    plain, quest, known = sent("rokoko-plain"), sent("quest"), [m for m in solver if m[0] == 1]

    def studio(rng: Random, _: list[bytes]) -> bytes:
        from lz4.frame import compress

        document = renumbered(rng, plain)
        return bytes(compress(document)) if rng.random() < 0.5 else document

    return {
        "json": lambda: Target(lambda m: answer(layout.read(m)), sent("glove")),
        "json (csv)": lambda: Target(through(Lines, lambda: lambda m: answer(line.read(m))), [b"1,5,2.5,-3\n", b"2,15.5,2e3,\r\n"],
                                     lambda rng, seeds: renumbered(rng, seeds) + b"\n"),
        "quest": lambda: Target(HtsReader(by_line=False), quest),
        "quest (TCP)": lambda: Target(through(Lines, lambda: HtsReader(by_line=True)), [m + b"\n" for m in quest],
                                      lambda rng, seeds: renumbered(rng, quest) + b"\n"),
        "lucidgloves": lambda: Target(read_alpha, sent("lucidgloves"), alpha),
        "manus (text)": lambda: Target(ManusReader(SIDES, "unity", "openxr").text, sent("manus")),
        "manus (bridge)": lambda: Target(ManusReader(SIDES, "z-forward", "openxr").bridge, sent("manus-bridge")[:4]),
        "rokoko": lambda: Target(read_studio, [*plain[:4], *sent("rokoko")[:4]], studio),
        "rokoko-sdk": lambda: Target(through(RgmpFrames, RgmpReader, known), solver, rgmp(known)),
        "udcap": lambda: Target(read_udcap, sent("udcap")),
        "xsens": lambda: Target(MvnReader(0, 1), sent("xsens"), mvn()),
        "vision-pro": lambda: Target(read_update, sent("vision-pro"), update()),
        "lsl": lambda: Target(LslReader("glove", np.ones(21), 20), [packed(b"S", 1.5, range(21)), packed(b"C", 1.5, [0.1])], sample),
        "stretchsense": lambda: Target(through(SizedFrames, lambda: read_hand_engine), sent("stretchsense"),
                                       lambda rng, _: len(text := renumbered(rng, hand)).to_bytes(4, "big") + text),
    }


def answer(reading: Reading | str) -> Mapping[str, Reading] | str:
    """The generic driver's answer, as the others give it."""
    return reading if isinstance(reading, str) else {"stream": reading}


def sound(said: Mapping[str, Reading]) -> bool:
    """Whether readings hold numbers, or nothing, and times that can be."""
    return not any(np.isinf(one.values).any() or not (one.device_ns is None or -(2**63) <= one.device_ns < 2**63) for one in said.values())


def memory_mb() -> float:
    """What the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def fuzz(make: Callable[[], Target], count: int, check: Callable[[Any], bool] = sound) -> dict[str, Any]:
    """Read `count` damaged and as many framed messages. `check` says of an answer that is no reason whether it may be one."""
    found: dict[str, Any] = {"messages": 2 * count, "crashes": 0, "hangs": 0, "slowest_ms": 0.0, "growth_mb": 0.0}
    rng, reasons, read_s = Random(1), set[str](), 0.0
    for kind in ("damaged", "framed"):
        target, read, before_mb = make(), 0, 0.0
        for n in range(count):
            if n == count // 10:
                before_mb = memory_mb()
            message = (damaged if kind == "damaged" else target.framed)(rng, target.seeds)
            start = time.thread_time()
            try:
                said = target.read(message)
                if isinstance(said, str):
                    reasons.add(said)
                else:
                    read += bool(said)
                    if not check(said):
                        raise ValueError(f"an answer that cannot be: {said}")
            except Exception:
                found["crashes"] += 1
                if found["crashes"] <= 3:
                    print(f"crash on {message!r}", file=sys.stderr)
                    traceback.print_exc()
            took_s = time.thread_time() - start
            read_s += took_s
            found["slowest_ms"] = max(found["slowest_ms"], round(1000 * took_s, 1))
            found["hangs"] += took_s > HANG_S
        found[f"read_{kind}"] = round(read / count, 6)
        found["growth_mb"] = max(found["growth_mb"], round(memory_mb() - before_mb, 1))
    return {**found, "per_s": round(2 * count / read_s), "reasons": len(reasons)}


def run(name: str, chosen: Mapping[str, Callable[[], Target]], count: int, check: Callable[[Any], bool] = sound) -> bool:
    """Fuzz each, print the table and the figures; whether all goals are met."""
    warnings.simplefilter("error")
    figures: dict[str, Any] = {}
    print("| reader | messages | read of damaged | of framed | a second | slowest | reasons | crashes | hangs | growth |\n"
          "|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for reader, make in chosen.items():
        found = figures[reader] = fuzz(make, count, check)
        print(f"| {reader} | {found['messages']} | {found['read_damaged']:.1%} | {found['read_framed']:.1%} | {found['per_s']} | "
              f"{found['slowest_ms']} ms | {found['reasons']} | {found['crashes']} | {found['hangs']} | {found['growth_mb']} MB |",
              flush=True)
    ok = all(found[key] <= GOALS[key] for found in figures.values() for key in ("crashes", "hangs", "growth_mb", "reasons"))
    ok &= all(count * found[f"read_{kind}"] >= GOALS["read_least"] for found in figures.values() for kind in ("damaged", "framed"))
    print(json.dumps({"bench": name, "figures": figures, "goals": GOALS, "ok": ok}))
    return ok


def main() -> int:
    """Fuzz, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    return 0 if run("fuzz", {name: make for name, make in targets().items() if not given.only or name in given.only}, given.count) else 1


if __name__ == "__main__":
    sys.exit(main())
