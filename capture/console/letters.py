"""Letters that can be read from two metres away, made of blocks."""

from collections.abc import Sequence

_ROWS = {
    "A": ".##. #..# #### #..# #..#", "B": "###. #..# ###. #..# ###.", "C": ".### #... #... #... .###", "D": "###. #..# #..# #..# ###.",
    "E": "#### #... ###. #... ####", "F": "#### #... ###. #... #...", "G": ".### #... #.## #..# .###", "H": "#..# #..# #### #..# #..#",
    "I": "# # # # #", "J": "..## ...# ...# #..# .##.", "K": "#..# #.#. ##.. #.#. #..#", "L": "#... #... #... #... ####",
    "M": "#...# ##.## #.#.# #...# #...#", "N": "#..# ##.# #.## #..# #..#", "O": ".##. #..# #..# #..# .##.", "P": "###. #..# ###. #... #...",
    "Q": ".##. #..# #..# #.#. .#.#", "R": "###. #..# ###. #.#. #..#", "S": ".### #... .##. ...# ###.", "T": "##### ..#.. ..#.. ..#.. ..#..",
    "U": "#..# #..# #..# #..# .##.", "V": "#...# #...# #...# .#.#. ..#..", "W": "#...# #...# #.#.# ##.## #...#",
    "X": "#..# #..# .##. #..# #..#", "Y": "#...# .#.#. ..#.. ..#.. ..#..", "Z": "#### ..#. .#.. #... ####", " ": ".. .. .. .. ..",
    "0": ".##. #.## ##.# #..# .##.", "1": ".#. ##. .#. .#. ###", "2": "###. ...# .##. #... ####", "3": "###. ...# .##. ...# ###.",
    "4": "#..# #..# #### ...# ...#", "5": "#### #... ###. ...# ###.", "6": ".##. #... ###. #..# .##.", "7": "#### ...# ..#. .#.. .#..",
    "8": ".##. #..# .##. #..# .##.", "9": ".##. #..# .### ...# .##.", ":": ". # . # .", "-": ".... .... #### .... ....",
    "?": "###. ...# .##. .... .#..",
}  # fmt: skip
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def big(text: str, columns: int, rows: int, *, blocks: bool = True) -> list[str]:
    """`text` in capitals as lines that fit: twice five rows high, five, three, or plain on one line. Without `blocks`, of # signs."""
    pixels = [".".join(parts) for parts in zip(*(_ROWS.get(c, _ROWS["?"]).split() for c in text.upper()), strict=True)] if text else []
    width = len(pixels[0]) if pixels else 0
    ink = "█" if blocks else "#"
    if pixels and 2 * width <= columns and rows >= 10:
        return [line for row in pixels for line in [_drawn(row, ink * 2)] * 2]
    if pixels and width <= columns and rows >= 5:
        return [_drawn(row, ink) for row in pixels]
    if pixels and width <= columns and rows >= 3 and blocks:
        return _halved(pixels, width)
    return [text[:columns]]


def _drawn(row: str, ink: str) -> str:
    return "".join(ink if c == "#" else " " * len(ink) for c in row)


def _halved(pixels: Sequence[str], width: int) -> list[str]:
    padded = [*pixels, "." * width]
    return ["".join(HALVES[a == "#", b == "#"] for a, b in zip(padded[i], padded[i + 1], strict=True)) for i in range(0, len(padded), 2)]
