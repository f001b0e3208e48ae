"""Small files in which Linux tells what it knows; elsewhere there are none, and then nothing is known."""

from pathlib import Path


def text(path: Path) -> str:
    """The content without its line end; empty where there is no such file, or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def number(path: Path) -> float | None:
    """The content as a number; None where it is none."""
    try:
        return float(text(path))
    except ValueError:
        return None


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in order of name; nothing where it is not there."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
