"""Names that lead to code: plain dicts of ``"module:object"`` strings, and the entry points of other packages."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from firsthand.capture.errors import FirsthandError, unknown

EXTRAS = {
    "av": "camera", "cv2": "camera", "zstandard": "camera", "pyrealsense2": "realsense", "serial": "gloves", "zmq": "gloves",
    "pylsl": "gloves", "grpc": "gloves", "lz4": "gloves",
}  # fmt: skip
"""Module -> the extra of ours that brings it."""


def names(kind: str, table: Mapping[str, str]) -> list[str]:
    """Every known name of a kind: ours first, then those other packages add in the group ``firsthand.<kind>``."""
    return [*table, *(point.name for point in entry_points(group=f"firsthand.{kind}") if point.name not in table)]


def find(kind: str, table: Mapping[str, str], name: str) -> Any:
    """Import and return the object called `name`, or at ``"module:object"``; nothing else is imported.

    Raises `FirsthandError` for a name that is neither in the table nor an entry point, naming the near ones, and for one whose module
    needs an extra that is not installed.
    """
    if name in table or ":" in name:
        module, _, attribute = table.get(name, name).partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
            if missing in EXTRAS:
                raise FirsthandError(f"the {kind.removesuffix('s')} {name!r} needs {missing}: pip install "
                                     f"'firsthand[{EXTRAS[missing]}]'") from error
            if name in table:
                raise
            raise FirsthandError(f"{kind.removesuffix('s')} {name!r} cannot be loaded ({error}); is it on PYTHONPATH?") from error
    for point in entry_points(group=f"firsthand.{kind}", name=name):
        return point.load()
    raise unknown(kind.removesuffix("s"), name, names(kind, table))
