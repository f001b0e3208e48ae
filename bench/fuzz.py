"""Every wire format's reader, given what no device sends: does it ever crash, hang or grow?

    python bench/fuzz.py [--count 20000] [--only NAME...]

Each reader gets `count` damaged messages (bytes flipped, cut off, doubled, spliced) and as many that are well framed and hold anything:
random numbers in place of a text's, random bytes in place of a binary payload. A reader must answer each with readings of finite or
missing numbers, or with a reason. Crashes are exceptions; hangs answers that took more than a second of the processor; growth what the
process' memory gained after the first tenth; reasons how many there are (each is counted for ever). Warnings are errors.

The last line is one JSON object; exit 0 only when nothing crashed, hung or grew.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Layout, Reading
from firsthand.capture.plugins import find
from firsthand.capture.wire_formats.alpha import read_alpha
from firsthand.capture.wire_formats.hand_engine import SizedFrames, read_hand_engine
from firsthand.capture.wire_formats.lsl import LslReader, packed
from firsthand.capture.wire_formats.manus import ManusReader
from firsthand.capture.wire_formats.protobuf import embedded
from firsthand.capture.wire_formats.quest import HtsReader
from firsthand.capture.wire_formats.rgmp import RgmpFrames, RgmpReader
from firsthand.capture.wire_formats.rokoko_studio import read_studio
from firsthand.capture.wire_formats.udcap import read_udcap
from firsthand.capture.wire_formats.vision_pro import read_update
from firsthand.capture.wire_formats.xsens import MvnReader

GOALS = {"crashes": 0, "hangs": 0, "growth_mb": 16.0, "reasons": 64}
HANG_S = 1.0
SIDES = {"60f3738b": "left", "8569617b": "right"}

Read = Callable[[bytes], Any]
Make = Callable[[Random, list[bytes]], bytes]


def sent(name: str) -> list[bytes]:
    """What an emulator sends in a fifth of a second."""
    return [bytes(message) for _, message in find("emulators", EMULATORS, name)(Emulation(seconds=0.2))]


def mvn(rng: Random, _: list[bytes]) -> bytes:
    """A datagram of the right form."""
    count, fingers = rng.choice(((23, 0), (63, 40), (40, 40)))
    head = struct.pack(">6sIBBIBBBBHH", b"MXTP02", rng.randrange(8), 128, count, rng.randrange(2**32), 0, 23, 0, fingers, 0, 32 * count)
    if rng.random() < 0.1:
        return head + b"".join(struct.pack(">i", n + 1) + rng.randbytes(28) for n in range(count))
    return head + b"".join(struct.pack(">i3f4f", n + 1, rng.gauss(0, 1e3), rng.gauss(0, 1), 0, 0.6, 0, -0.8, 0) for n in range(count))


def rgmp(rng: Random, seeds: list[bytes]) -> bytes:
    """A frame of the right form: mostly joints of a device that is known."""
    if rng.random() < 0.1:
        return renumbered_rgmp(rng, seeds)
    payload = struct.pack("<IIQ", rng.choice((101, 102, rng.randrange(2**32))), rng.randrange(3), rng.randrange(2**62)) + rng.randbytes(728)
    return struct.pack("<II", rng.choice((2, 2, 2, 3, 9)), len(payload)) + payload


def renumbered_rgmp(rng: Random, seeds: list[bytes]) -> bytes:
    """A definition with other numbers."""
    text = renumbered(rng, [seed[8:] for seed in seeds[:2]])
    return struct.pack("<II", 1, len(text)) + text


def update(rng: Random, _: list[bytes]) -> bytes:
    """A HandUpdate of the right form."""
    def matrix() -> bytes:
        return b"".join(bytes([8 * n + 5]) + rng.randbytes(4) for n in range(1, rng.randint(1, 16)))

    hand = embedded(1, matrix()) + embedded(2, b"".join([embedded(1, matrix())] * rng.choice((25, 27))))
    return embedded(1, hand) + embedded(2, hand) + embedded(3, matrix())


def sample(rng: Random, _: list[bytes]) -> bytes:
    """An LSL sample of the right length."""
    return packed(rng.choice((b"S", b"C", b"X")), struct.unpack("<d", rng.randbytes(8))[0], np.frombuffer(rng.randbytes(168)))


def through(cut: Callable[[Counter[str]], Any], read: Read) -> Read:
    """What comes of bytes on a TCP connection: cut into messages, each read."""
    def both(message: bytes) -> Any:
        try:
            packets = cut(Counter()).add(0, message)
        except FirsthandError as error:
            return str(error)
        answers = [read(packet.data) for packet in packets]
        return answers[-1] if answers else {}

    return both


@dataclass(frozen=True)
class Target:
    """A reader, messages it knows, and how to make well-framed ones."""

    read: Read
    seeds: list[bytes]
    framed: Make = renumbered


def targets() -> dict[str, Callable[[], Target]]:
    """Made one at a time."""
    layout = Layout("json", ("a", "b"), array="deg", stamp="t_us", sequence="seq", units="deg")
    hand = [m[4:] for m in sent("stretchsense")]
    plain = sent("rokoko-plain")
    return {
        "json": lambda: Target(lambda m: answer(layout.read(m)), [b'{"seq":1,"t_us":5,"deg":[1,2.5]}', *sent("glove")]),
        "quest": lambda: Target(HtsReader(by_line=False), sent("quest")),
        "quest (TCP)": lambda: Target(HtsReader(by_line=True), [line for m in sent("quest") for line in m.split(b"\n")]),
        "lucidgloves": lambda: Target(read_alpha, sent("lucidgloves")),
        "manus (text)": lambda: Target(ManusReader(SIDES, "unity", "openxr").text, sent("manus")),
        "manus (bridge)": lambda: Target(ManusReader(SIDES, "z-forward", "openxr").bridge, sent("manus-bridge")[:4]),
        "rokoko": lambda: Target(read_studio, [*plain[:4], *sent("rokoko")[:4]]),
        "rokoko-sdk": lambda: Target(through(RgmpFrames, RgmpReader()), sent("rokoko-sdk"), rgmp),
        "udcap": lambda: Target(read_udcap, sent("udcap")),
        "xsens": lambda: Target(MvnReader(0, 1), sent("xsens"), mvn),
        "vision-pro": lambda: Target(read_update, sent("vision-pro"), update),
        "lsl": lambda: Target(LslReader("glove", np.ones(21), 20), [packed(b"S", 1.5, range(21)), packed(b"C", 1.5, [0.1])], sample),
        "stretchsense": lambda: Target(through(SizedFrames, read_hand_engine), [len(m).to_bytes(4, "big") + m for m in hand],
                                       lambda rng, seeds: sized(renumbered(rng, hand))),
    }


def sized(text: bytes) -> bytes:
    """A message behind its length."""
    return len(text).to_bytes(4, "big") + text


def answer(reading: Reading | str) -> Mapping[str, Reading] | str:
    """The generic driver's answer, as the others give it."""
    return reading if isinstance(reading, str) else {"stream": reading}


def memory_mb() -> float:
    """What the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def fuzz(target: Target, count: int) -> dict[str, Any]:
    """Read `count` damaged and as many framed messages."""
    rng, reasons, crashes, hangs, slowest_s, read_s, readings = Random(1), set[str](), 0, 0, 0.0, 0.0, 0
    before_mb, begun = 0.0, False
    for n in range(2 * count):
        if not begun and n >= count / 5:
            before_mb, begun = memory_mb(), True
        message = (damaged if n % 2 else target.framed)(rng, target.seeds)
        start = time.thread_time()
        try:
            said = target.read(message)
        except Exception:
            crashes += 1
            if crashes <= 3:
                print(f"crash on {message!r}", file=sys.stderr)
                traceback.print_exc()
            continue
        finally:
            took = time.thread_time() - start
            read_s += took
            slowest_s = max(slowest_s, took)
            hangs += took > HANG_S
        if isinstance(said, str):
            reasons.add(said)
            continue
        for reading in said.values():
            readings += 1
            whole = reading.device_ns is None or -(2**63) <= reading.device_ns < 2**63
            if np.isinf(reading.values).any() or not whole:
                crashes += 1
    return {"messages": 2 * count, "per_s": round(2 * count / read_s), "read": readings, "crashes": crashes, "hangs": hangs,
            "slowest_ms": round(1000 * slowest_s, 1), "reasons": len(reasons), "growth_mb": round(memory_mb() - before_mb, 1)}


def main() -> int:
    """Fuzz, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    warnings.simplefilter("error")
    figures: dict[str, Any] = {}
    print(f"{'reader':15} {'messages':>9} {'a second':>9} {'read':>9} {'crashes':>7} {'hangs':>5} {'slowest':>9} {'reasons':>7}   growth")
    for name, make in targets().items():
        if given.only and name not in given.only:
            continue
        found = figures[name] = fuzz(make(), given.count)
        print(f"{name:15} {found['messages']:9} {found['per_s']:9} {found['read']:9} {found['crashes']:7} {found['hangs']:5} "
              f"{found['slowest_ms']:6} ms {found['reasons']:7} {found['growth_mb']:5} MB", flush=True)
    ok = all(found[key] <= goal for found in figures.values() for key, goal in GOALS.items())
    print(json.dumps({"bench": "fuzz", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
