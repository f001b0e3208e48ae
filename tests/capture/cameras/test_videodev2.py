"""Our structures against the kernel's own header, as the compiler of this machine lays them out."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from firsthand.capture.cameras import videodev2 as ours

STRUCTURES = {
    ours.Capability: ("v4l2_capability", {}), ours.FormatDescription: ("v4l2_fmtdesc", {}),
    ours.FrameSize: ("v4l2_frmsizeenum", {"size": "stepwise"}), ours.Fraction: ("v4l2_fract", {}),
    ours.FrameInterval: ("v4l2_frmivalenum", {"interval": "stepwise"}), ours.PixFormat: ("v4l2_pix_format", {}),
    ours.Format: ("v4l2_format", {}), ours.StreamParameters: ("v4l2_streamparm", {}), ours.RequestBuffers: ("v4l2_requestbuffers", {}),
    ours.Buffer: ("v4l2_buffer", {"seconds": "timestamp.tv_sec", "microseconds": "timestamp.tv_usec"}),
    ours.QueryControl: ("v4l2_queryctrl", {}), ours.QueryMenu: ("v4l2_querymenu", {"item": "name"}), ours.Control: ("v4l2_control", {}),
}
NUMBERS = {
    **{name: f"VIDIOC_{name}" for name in ("QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON",
                                          "STREAMOFF", "G_PARM", "S_PARM", "G_CTRL", "S_CTRL", "QUERYCTRL", "QUERYMENU",
                                          "ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS")},
    "CAPTURE": "V4L2_BUF_TYPE_VIDEO_CAPTURE", "MMAP": "V4L2_MEMORY_MMAP", "FIELD_NONE": "V4L2_FIELD_NONE",
    **{name: f"V4L2_{name}" for name in ("CAP_VIDEO_CAPTURE", "CAP_STREAMING", "CAP_DEVICE_CAPS", "CAP_TIMEPERFRAME",
                                        "CID_AUTO_WHITE_BALANCE", "CID_WHITE_BALANCE_TEMPERATURE", "CID_EXPOSURE_AUTO",
                                        "CID_EXPOSURE_ABSOLUTE", "CID_FOCUS_ABSOLUTE", "CID_FOCUS_AUTO", "EXPOSURE_AUTO",
                                        "EXPOSURE_MANUAL")},
    **{name: f"V4L2_FRMSIZE_TYPE_{name}" for name in ("DISCRETE",)},
    "BUF_ERROR": "V4L2_BUF_FLAG_ERROR", "BUF_MONOTONIC": "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC",
    "BUF_TIMESTAMP_MASK": "V4L2_BUF_FLAG_TIMESTAMP_MASK", "EXPOSURE_APERTURE_PRIORITY": "V4L2_EXPOSURE_APERTURE_PRIORITY",
    "CTRL_NEXT": "V4L2_CTRL_FLAG_NEXT_CTRL",
    **{f"CTRL_{name}": f"V4L2_CTRL_FLAG_{name}" for name in ("DISABLED", "READ_ONLY", "WRITE_ONLY")},
    **{name: f"V4L2_CTRL_TYPE_{name}" for name in ("INTEGER", "BOOLEAN", "MENU", "INTEGER_MENU")},
}


def test_sizes_offsets_and_numbers_are_the_kernels(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and the kernel's headers")
    asked, mine = [], []
    for kind, (name, spelled) in STRUCTURES.items():
        asked.append(f"sizeof(struct {name})")
        mine.append((name, ctypes.sizeof(kind)))
        for field, *_ in kind._fields_:  # type: ignore[misc]
            asked.append(f"offsetof(struct {name}, {spelled.get(field, field)})")
            mine.append((f"{name}.{field}", getattr(kind, field).offset))
    for name, theirs in NUMBERS.items():
        asked.append(f"(unsigned){theirs}")
        mine.append((name, getattr(ours, name)))
    source = tmp_path / "ask.c"
    source.write_text("#include <stddef.h>\n#include <stdio.h>\n#include <sys/time.h>\n#include <linux/videodev2.h>\nint main(void) {\n"
                      + "".join(f'  printf("%zu\\n", (size_t)({what}));\n' for what in asked) + "  return 0;\n}\n")
    subprocess.run([compiler, "-o", str(tmp_path / "ask"), str(source)], check=True)
    theirs = subprocess.run([tmp_path / "ask"], capture_output=True, text=True, check=True).stdout.split()
    assert [(name, int(number)) for (name, _), number in zip(mine, theirs, strict=True)] == mine


def test_a_pixel_formats_number_reads_as_its_four_letters() -> None:
    assert ours.fourcc("MJPG") == 0x47504A4D and ours.fourcc_text(0x56595559) == "YUYV" and ours.fourcc_text(ours.fourcc("Y8")) == "Y8"
