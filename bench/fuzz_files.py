"""Files that nobody wrote: does an importer ever crash, hang or grow?

    python bench/fuzz_files.py [--count 20000] [--only NAME...]       the readers of binary formats that are our own, in memory
    python bench/fuzz_files.py --files 200 SOURCE...                   whole files and folders, as `firsthand import` takes them

In memory each reader gets `count` damaged files and as many that are well framed and hold anything, as in `bench/fuzz.py`: what a GoPro
says of its sensors (GPMF) up to the tracks that are recorded, XDF up to its streams, the outermost sizes of VRS and of video files, and
the parameter sets of H.264 and HEVC.

Of a source that is given, `--files` copies are made, each with one of its files damaged in one to four places, and imported into a
library, in the processes that `firsthand import` uses. Each must come in as a sound recording or be refused with a reason; packets of
video are taken as they are, so that what is damaged inside them is for `firsthand validate` to tell. A reader of somebody else's that
crashes or hangs is one that was contained, and is told. The last line is one JSON object; exit 0 only when that held.
"""

import argparse
import json
import shutil
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from fuzz import Target, run

from firsthand.capture.codecs.annex_b import parameter_sets
from firsthand.capture.emulators.damage import damaged
from firsthand.capture.errors import FirsthandError
from firsthand.capture.import_many import import_many
from firsthand.capture.importers import cut_off, vrs, xdf
from firsthand.capture.importers.gopro import Payload, _tracks
from firsthand.capture.importers.gpmf import read_payload, without_places
from firsthand.capture.intake import Asked
from firsthand.capture.summary import check_recording

KEYS = (b"ACCL", b"GYRO", b"SHUT", b"ISOE", b"MAGN", b"CORI", b"GPS5", b"MIXD", b"ODDK")
TYPES = b"bBsSlLjJfdqQcU?F"
SILENT_S = 30.0


class InMemory:
    """A file that is only bytes, as far as readers look at one."""

    def __init__(self, data: bytes) -> None:
        self.name, self._data = "in memory", data

    def open(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)

    def stat(self) -> Any:
        return SimpleNamespace(st_size=len(self._data))


def refused(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A reader that says no by raising `FirsthandError`, as one that answers. Its sentences name places in the file, so they are many."""
    def answer(data: bytes) -> Any:
        try:
            return read(data)
        except FirsthandError:
            return "damaged"

    return answer


def klv(key: bytes, kind: int, size: int, data: bytes) -> bytes:
    """One item of GPMF: key, type, size, count, data padded to 4 bytes."""
    return key + struct.pack(">BBH", kind, size, len(data) // size if size else 0) + data + bytes(-len(data) % 4)


def nest(key: bytes, *parts: bytes) -> bytes:
    """An item that holds others."""
    return klv(key, 0, 1, b"".join(parts))


def gpmf(rng: Random, _: list[bytes]) -> bytes:
    """A payload of the right form."""
    def modifier(key: bytes, kind: bytes, size: int) -> bytes:
        return klv(key, (kind if rng.random() < 0.95 else rng.choice([TYPES[i : i + 1] for i in range(len(TYPES))]))[0], size,
                   rng.randbytes(size * rng.choice((1, 1, 1, 3))))

    def stream() -> bytes:
        parts = [modifier(b"STMP", b"J", 8) if rng.random() < 0.3 else klv(b"STMP", ord("J"), 8, struct.pack(">Q", rng.randrange(10**9))),
                 modifier(b"TSMP", b"L", 4), klv(b"STNM", ord("c"), 1, b"Accelerometer"), modifier(b"SCAL", b"s", 2),
                 klv(b"ORIN", ord("c"), 1, rng.choice((b"XzY", b"ZXY", b"xx"))), modifier(b"TMPC", b"f", 4),
                 klv(b"SIUN", ord("c"), 4, b"m/s\xb2"), klv(b"TYPE", ord("c"), 1, b"Lf")]
        size = rng.choice((1, 2, 4, 6, 8, 12, 24))
        data = klv(rng.choice(KEYS), rng.choice(b"sssflLdJqQ?cF"), size, rng.randbytes(size * rng.randrange(20)))
        return nest(b"STRM", *rng.sample(parts, rng.randint(0, len(parts))), data)

    return nest(b"DEVC", klv(b"DVNM", ord("c"), 1, b"Hero"), *(stream() for _ in range(rng.randint(1, 3))))


def telemetry() -> Callable[[bytes], Any]:
    """What is done with the payloads of a file: each is read, and of every twentieth sound one and the one before it tracks are made."""
    last, sound = gpmf(Random(2), []), 0

    def read(data: bytes) -> Any:
        nonlocal last, sound
        series, _ = read_payload(data), without_places(data)
        before, last, sound = last, data, sound + 1
        if sound % 20:
            return {"series": series}
        tracks = _tracks(Path("x"), [Payload(0, 10**9, before), Payload(10**9, 10**9, data)], False)[1]
        return {"samples": sum(len(list(track.samples)) for track in tracks)}

    return read


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk of XDF."""
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def lab(rng: Random, _: list[bytes]) -> bytes:
    """An XDF file of the right form."""
    form, channels = rng.choice((*xdf.FORMATS, "string")), rng.randint(1, 3)
    said = f"<?xml version='1.0' encoding='{rng.choice(('utf-8', 'latin-1', 'utf-16', 'shift-jis', 'none'))}'?>" * (rng.random() < 0.5)
    head = (f"{said}<info><name>a</name><type>IMU</type><channel_count>{channels}</channel_count><nominal_srate>"
            f"{rng.choice(('0', '10', '1e-300', 'nan', 'inf', '-5', '1e9'))}</nominal_srate><channel_format>{form}</channel_format></info>")
    out = [b"XDF:", chunk(2, b"\1\0\0\0" + head.encode())]
    for _ in range(rng.randint(1, 4)):
        count, body = rng.randrange(5), b""
        for _ in range(count):
            stamp = rng.choice((rng.gauss(0, 1e4), rng.gauss(0, 1e4), struct.unpack("<d", rng.randbytes(8))[0]))
            body += b"\0" if rng.random() < 0.3 else struct.pack("<Bd", 8, stamp)
            for _ in range(channels):
                text = rng.randbytes(rng.randrange(5))
                body += bytes((1, len(text))) + text if form == "string" else rng.randbytes(np.dtype(xdf.FORMATS[form]).itemsize)
        out.append(chunk(3, b"\1\0\0\0" + bytes((1, count)) + body))
        if rng.random() < 0.5:
            out.append(chunk(4, b"\1\0\0\0" + struct.pack("<dd", rng.gauss(0, 1e3), rng.choice((rng.gauss(0, 1), rng.gauss(0, 1e300))))))
    return b"".join(out)


def streams(data: bytes) -> Any:
    """What is done with an XDF file: the samples of all its streams."""
    return {"samples": [len(list(track.samples)) for one in xdf.read_xdf(InMemory(data)) for track in xdf._tracks(one, [])]}


def records(rng: Random, _: list[bytes]) -> bytes:
    """A VRS file of the right form, as far as its sizes go."""
    bodies = [rng.randbytes(rng.randrange(40)) for _ in range(rng.randint(1, 6))]
    out = b"".join(struct.pack("<I", 4 + len(body)) + body for body in bodies)
    head = vrs.HEADER.pack(vrs.MAGIC, bytes(8), vrs.HEADER.size, rng.choice((0, 4, 32)), rng.choice((0, rng.randrange(2**64))), 0,
                           rng.choice((0, vrs.HEADER.size, rng.randrange(200))))
    return head + out


def boxes(rng: Random, _: list[bytes]) -> bytes:
    """A video file of the right form, as far as its outermost sizes go."""
    match rng.randrange(3):
        case 0:
            return b"".join(struct.pack(">I4s", rng.choice((8, 8 + 16, rng.randrange(2**32))), rng.choice(cut_off.MP4_BOXES)) + bytes(16)
                            for _ in range(rng.randint(1, 6)))
        case 1:
            return b"".join(b"RIFF" + struct.pack("<I", rng.choice((4, 12, rng.randrange(2**32)))) + bytes(12) for _ in range(3))
    return cut_off.EBML + b"\x84" + bytes(4) + cut_off.SEGMENT + rng.randbytes(rng.randrange(12))


def units(rng: Random, _: list[bytes]) -> bytes:
    """Parameter sets and pictures."""
    return b"".join(b"\0\0\1" + bytes([rng.choice((0x67, 0x68, 0x65, 0x40, 0x42, 0x44, 0x26))]) + rng.randbytes(rng.randrange(20))
                    for _ in range(rng.randint(1, 6)))


def targets() -> dict[str, Callable[[], Target]]:
    """Made one at a time."""
    return {
        "GPMF": lambda: target(refused(telemetry()), gpmf),
        "XDF": lambda: target(refused(streams), lab),
        "VRS": lambda: target(lambda m: {"lacks": vrs.missing_bytes(InMemory(m))}, records),
        "MP4, MKV, AVI": lambda: target(lambda m: {"lacks": cut_off.missing_bytes(InMemory(m))}, boxes),
        "H.264, HEVC": lambda: target(lambda m: {"sets": parameter_sets(m, "h264") + parameter_sets(m, "hevc")}, units),
    }


def target(read: Callable[[bytes], Any], make: Callable[[Random, list[bytes]], bytes]) -> Target:
    """A reader, with twenty files that it reads to damage."""
    rng = Random(0)
    return Target(read, [*islice((data for data in (make(rng, []) for _ in count()) if not isinstance(read(data), str)), 20)], make)


def damage(source: Path, to: Path, rng: Random) -> None:
    """A copy of a file or folder, with one of its files damaged."""
    if source.is_dir():
        shutil.copytree(source, to)
        file = rng.choice(sorted(path for path in to.rglob("*") if path.is_file() and path.stat().st_size))
    else:
        shutil.copyfile(source, to)
        for beside in source.parent.glob(f"{source.stem}.*"):  # what belongs to it, such as the video of an HDF5 file
            if beside != source:
                shutil.copyfile(beside, to.with_suffix(beside.suffix))
        file = to
    file.write_bytes(damaged(rng, [file.read_bytes()]))


def whole(source: Path, copies: int) -> dict[str, Any]:
    """Import `copies` damaged copies of a source."""
    rng, told = Random(1), Counter[str]()
    for n in range(copies):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"copy{''.join(source.suffixes) if source.is_file() else ''}"
            damage(source, copy, rng)
            report = import_many([copy], Path(folder) / "library", Asked(), workers=1, silent_s=SILENT_S)
            for fault in report.faults:
                why = "refused"
                for word, kind in (("its reader failed", "failed"), ("crashed", "crashed"), ("said nothing", "hung")):
                    why = kind if word in fault.reason else why
                told[why] += 1
                if why != "refused":
                    print(f"{source.name} {n}: {fault.reason}", file=sys.stderr)
            for one in report.imported:
                problems = check_recording(one.episode.recording_path)
                pictures = all("does not decode" in problem for problem in problems)  # packets are taken as they are
                told["imported" if not problems else "pictures damaged" if pictures else "unsound"] += 1
            if not report.faults and not report.imported:
                told["nothing of ours"] += 1
    return dict(told)


def main() -> int:
    """Fuzz, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("sources", nargs="*", type=Path)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    if not given.sources:
        chosen = {name: make for name, make in targets().items() if not given.only or name in given.only}
        return 0 if run("fuzz_files", chosen, given.count, check=lambda said: isinstance(said, dict)) else 1
    figures = {}
    for source in given.sources:
        figures[source.name] = whole(source, given.files)
        print(f"{source.name}: {figures[source.name]}", flush=True)
    ok = not any(told.get("failed", 0) + told.get("unsound", 0) for told in figures.values())
    print(json.dumps({"bench": "fuzz_files", "figures": figures, "goals": {"failed": 0, "unsound": 0}, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
