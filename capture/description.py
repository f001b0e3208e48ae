"""What a take is, kept until there is a file to say it in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.files import Provenance
from firsthand.capture.latency import Latency
from firsthand.capture.layout import FORMAT, VERSION
from firsthand.capture.segment import LIVE, Place, Room, add_data
from firsthand.capture.stream import StreamSpec


@dataclass(frozen=True)
class Description:
    """All that the files of a take say of it but their samples."""

    task: str
    source: str
    created_utc: str
    provenance: Provenance
    calibration: Calibration
    latencies: Mapping[str, Latency]
    """By stream; those of streams that are not recorded are passed over."""
    streams: tuple[StreamSpec, ...]

    def write(self, file: Any, room: Mapping[str, Room], live: int | None = None) -> dict[str, Place]:
        """Put this into a new HDF5 file, with `room` for the samples of each stream; returns where those go.

        `live`: of a file that is being recorded, its number in the take.
        """
        if live is not None:
            file.attrs[LIVE] = live
        file.attrs.update(format=FORMAT, version=VERSION, task=self.task, source=self.source, created_utc=self.created_utc)
        self.provenance.write(file.create_group("provenance"))
        cameras = file.create_group("calibration")
        for name, camera in self.calibration.cameras.items():
            camera.write(cameras.create_group(name))
        places = {}
        for spec in self.streams:
            group = file.create_group(f"streams/{spec.name}")
            _write_spec(group, spec)
            if spec.clock != "media" and spec.name in self.latencies:
                self.latencies[spec.name].write(group)
            places[spec.name] = add_data(group, len(spec.names), room[spec.name])
            if spec.kind == "numeric":
                group["values"].attrs.update(names=list(spec.names), units=list(spec.units))
        return places


def _write_spec(group: Any, spec: StreamSpec) -> None:
    """Put a stream's description into its group: plain attributes where there is something to say, ``extra`` as JSON, ``extradata`` as a
    dataset."""
    for name, value in vars(spec).items():
        if name not in ("name", "names", "units", "extradata") and value not in (None, "", {}):
            put_attribute(group, name, json.dumps(value) if name == "extra" else value)
    if spec.extradata:
        group.create_dataset("extradata", data=np.frombuffer(spec.extradata, np.uint8))


def put_attribute(group: Any, name: str, value: Any) -> None:
    """What ``group.attrs[name] = value`` does for a new one, in half the time for a text: a take's description is mostly these."""
    if type(value) is str:
        h5py.h5a.create(group.id, name.encode(), _TEXT_IN_FILE, _SCALAR).write(np.array(value, _TEXT))
    else:
        group.attrs[name] = value


_TEXT = h5py.string_dtype()
_TEXT_IN_FILE = h5py.h5t.py_create(_TEXT, logical=True)
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)
