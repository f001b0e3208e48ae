"""What a robot would do: absolute end-effector poses and joint positions, a pure function of hands and robot card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.files import Provenance, whole_hdf5
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.hand_track import open_derived

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ActionTrack:
    """One end effector over time, driven by one hand; row i belongs to frame i of the reference camera."""

    side: Side
    """The human hand that drives it."""
    t_ns: npt.NDArray[np.int64]
    """Times on the session clock, shape (N,)."""
    T_frame_ee: Floats
    """End-effector pose (a gripper's TCP, a hand's wrist), shape (N, 4, 4), in the frame of the `Actions`; NaN where not valid."""
    joint_names: tuple[str, ...]
    """One name per joint; a parallel gripper has the single joint ``width``."""
    joint_units: tuple[str, ...]
    """``rad`` or ``m`` per joint."""
    joints: Floats
    """Joint positions, shape (N, J); NaN where not valid. Within the card's limits, exactly."""
    valid: npt.NDArray[np.bool_]
    """Frames with an action, shape (N,)."""
    residual_m: Floats
    """Mean distance of the robot's tips from their targets, shape (N,); NaN where not valid."""
    saturated: npt.NDArray[np.bool_]
    """Frames in which a limit kept a target from being met, shape (N,)."""

    def __post_init__(self) -> None:
        n, j = len(self.t_ns), len(self.joint_names)
        if len(self.joint_units) != j:
            raise ValueError("ActionTrack needs one unit per joint")
        set_frozen(self, "t_ns", np.int64, (n,))
        set_frozen(self, "T_frame_ee", np.float64, (n, 4, 4))
        set_frozen(self, "joints", np.float64, (n, j))
        set_frozen(self, "valid", np.bool_, (n,))
        set_frozen(self, "residual_m", np.float64, (n,))
        set_frozen(self, "saturated", np.bool_, (n,))


@dataclass(frozen=True, eq=False)
class Actions:
    """The content of ``actions-<robot>.h5``: one track per human hand the robot can follow."""

    robot: str
    kind: Literal["gripper", "hand"]
    frame: Literal["world", "camera"]
    """What the poses refer to, as in the hands they were made from."""
    tracks: Mapping[Side, ActionTrack]
    provenance: Provenance = field(default_factory=Provenance)

    def write(self, path: Path) -> None:
        """Write ``actions-<robot>.h5`` whole or not at all."""
        with whole_hdf5(path) as file:
            file.attrs.update(format="firsthand.actions", version=1, robot=self.robot, kind=self.kind, frame=self.frame)
            self.provenance.write(file.create_group("provenance"))
            for side, track in self.tracks.items():
                group = file.create_group(f"tracks/{side}")
                group.attrs.update(joint_names=list(track.joint_names), joint_units=list(track.joint_units))
                for name in ("t_ns", "T_frame_ee", "joints", "valid", "residual_m", "saturated"):
                    group.create_dataset(name, data=getattr(track, name), compression="gzip", shuffle=True)


def read_actions(path: Path) -> Actions:
    """Read an ``actions-<robot>.h5``. Raises `FirsthandError` when it is missing or something else."""
    with open_derived(path, "firsthand.actions", "firsthand process") as file:
        tracks = {}
        for side in SIDES:
            if f"tracks/{side}" in file:
                g = file[f"tracks/{side}"]
                tracks[side] = ActionTrack(side, g["t_ns"][()], g["T_frame_ee"][()], tuple(map(str, g.attrs["joint_names"])),
                                           tuple(map(str, g.attrs["joint_units"])), g["joints"][()], g["valid"][()], g["residual_m"][()],
                                           g["saturated"][()])
        return Actions(str(file.attrs["robot"]), file.attrs["kind"], file.attrs["frame"], tracks, Provenance.read(file["provenance"]))
