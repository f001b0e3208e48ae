"""What really happened in a synthetic take: ``truth.h5``, written and read. Told in docs/recording-format.md."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_hdf5
from firsthand.capture.skeleton import SIDES, Side

FORMAT = "firsthand.truth"
VERSION = 1

Floats = npt.NDArray[np.float64]
Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrueHand:
    """One hand in every frame the camera took, also those that were lost on the way."""

    points_m: Floats
    """21 joints in the world, inside the flesh, shape (F, 21, 3)."""
    points_px: Floats
    """The same in the image, shape (F, 21, 2)."""
    visible: npt.NDArray[np.bool_]
    """Wrist, knuckles and tips all inside the image, shape (F,)."""
    aperture_m: Floats
    """From thumb tip to index tip, shape (F,)."""

    def __post_init__(self) -> None:
        n = len(self.visible)
        set_frozen(self, "points_m", np.float64, (n, 21, 3))
        set_frozen(self, "points_px", np.float64, (n, 21, 2))
        set_frozen(self, "visible", np.bool_, (n,))
        set_frozen(self, "aperture_m", np.float64, (n,))


@dataclass(frozen=True, eq=False)
class TrueStream:
    """When each sample of a stream was taken, and how its device's clock and transport were wrong.

    Session time = device + `offset_ns` + `drift_ppm` 1e-6 (device - `reference_device_ns`), up to the stamp's jitter. A clock
    fitted to arrivals is late by `min_latency_ns`, which no one-way stamp can show.
    """

    sequence: Nanoseconds
    """Shape (N,), with the lost ones."""
    t_ns: Nanoseconds
    """True times on the session clock, shape (N,)."""
    dropped: Nanoseconds
    """Sequences that were never delivered, shape (D,)."""
    offset_ns: int
    """Session minus device time where the device's clock reads `reference_device_ns`."""
    drift_ppm: float
    """How much faster the session clock runs."""
    reference_device_ns: int
    min_latency_ns: int

    def __post_init__(self) -> None:
        set_frozen(self, "sequence", np.int64, (None,))
        set_frozen(self, "t_ns", np.int64, (len(self.sequence),))
        set_frozen(self, "dropped", np.int64, (None,))


@dataclass(frozen=True)
class TrueSegment:
    """A true sub-task: camera sequence numbers, half-open."""

    a: int
    b: int
    label: str
    text: str


@dataclass(frozen=True, eq=False)
class Truth:
    """The content of ``truth.h5``. Row i of every (F, ...) array is the camera frame with sequence number `first_sequence` + i."""

    task: str
    instruction: str
    seed: int
    t_ns: Nanoseconds
    """True exposure times on the session clock, shape (F,)."""
    T_world_cam: Floats
    """True camera poses, shape (F, 4, 4). World: right-handed, z up."""
    hands: Mapping[Side, TrueHand]
    streams: Mapping[str, TrueStream]
    segments: tuple[TrueSegment, ...]
    first_sequence: int = 0
    """0, but for a part of a take that is repeated for ever."""

    def __post_init__(self) -> None:
        set_frozen(self, "t_ns", np.int64, (None,))
        set_frozen(self, "T_world_cam", np.float64, (len(self.t_ns), 4, 4))

    @property
    def sequence(self) -> Nanoseconds:
        """Camera sequence numbers, shape (F,), without a gap."""
        return self.first_sequence + np.arange(len(self.t_ns), dtype=np.int64)

    def write(self, path: Path) -> None:
        """Write ``truth.h5`` whole or not at all."""
        with whole_hdf5(path) as file:
            file.attrs.update(format=FORMAT, version=VERSION, task=self.task, instruction=self.instruction, seed=self.seed)
            file["camera/sequence"], file["camera/t_ns"], file["camera/T_world_cam"] = self.sequence, self.t_ns, self.T_world_cam
            for side, hand in self.hands.items():
                for name in ("points_m", "points_px", "visible", "aperture_m"):
                    file[f"hands/{side}/{name}"] = getattr(hand, name)
            for name, stream in self.streams.items():
                group = file.create_group(f"streams/{name}")
                group["sequence"], group["t_ns"], group["dropped"] = stream.sequence, stream.t_ns, stream.dropped
                group.attrs.update(offset_ns=stream.offset_ns, drift_ppm=stream.drift_ppm, min_latency_ns=stream.min_latency_ns,
                                   reference_device_ns=stream.reference_device_ns)
            file["segments"] = json.dumps([asdict(segment) for segment in self.segments])


def read_truth(path: Path) -> Truth:
    """Read a ``truth.h5``. Raises `FirsthandError` when it is missing or something else."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = "no such file; only a take of the synthetic wearer has one" if not path.exists() else "not an HDF5 file, or cut off"
        raise FirsthandError(f"cannot read {path} as truth: {what}") from error
    with file:
        if file.attrs.get("format") != FORMAT:
            raise FirsthandError(f"{path} is HDF5 but not the truth of a take (its 'format' attribute is not {FORMAT!r})")
        hands = {side: _hand(file[f"hands/{side}"]) for side in SIDES if f"hands/{side}" in file}
        segments = tuple(TrueSegment(**segment) for segment in json.loads(file["segments"].asstr()[()]))
        return Truth(str(file.attrs["task"]), str(file.attrs["instruction"]), int(file.attrs["seed"]), file["camera/t_ns"][()],
                     file["camera/T_world_cam"][()], hands, {name: _stream(group) for name, group in file["streams"].items()}, segments,
                     int(file["camera/sequence"][0]))


def _hand(group: Any) -> TrueHand:
    return TrueHand(group["points_m"][()], group["points_px"][()], group["visible"][()], group["aperture_m"][()])


def _stream(group: Any) -> TrueStream:
    a = group.attrs
    return TrueStream(group["sequence"][()], group["t_ns"][()], group["dropped"][()], int(a["offset_ns"]), float(a["drift_ppm"]),
                      int(a["reference_device_ns"]), int(a["min_latency_ns"]))
