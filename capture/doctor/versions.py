"""What is installed: a recording's figures are worth more beside it."""

import platform
from importlib.metadata import PackageNotFoundError, version

from firsthand.capture.doctor.finding import Finding
from firsthand.capture.files import code_version

CORE = {"numpy": "", "h5py": "", "opencv-python": "camera", "av": "camera", "zstandard": "camera"}
"""Package -> the extra that brings it."""
MORE = ("pyrealsense2", "pyserial", "sounddevice")


def versions() -> list[Finding]:
    """One line for all, and one a package that is missing."""
    import h5py

    have = {name: installed(name) for name in (*CORE, *MORE)}
    listed = [f"{name} {number}" for name, number in have.items() if number]
    told = f"firsthand {code_version()}, Python {platform.python_version()}, {platform.system()} {platform.release()}, "
    found = [Finding("versions", f"{told}HDF5 {h5py.version.hdf5_version}, {', '.join(listed)}")]
    return found + [Finding(name, "not installed", "", "bad", f"pip install 'firsthand[{extra}]'")
                    for name, extra in CORE.items() if extra and not have[name]]


def installed(package: str) -> str:
    """A package's version; empty where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
