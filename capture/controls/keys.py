"""Which key does what, and the bytes of a terminal turned into keys."""

from firsthand.capture.controls.press import Action

KEYS: dict[str, Action] = {
    "space": "toggle", "k": "keep", "d": "discard", "r": "redo", "m": "mark", "n": "next_task", "p": "previous_task", "q": "quit",
    "?": "help", "h": "help", "right": "next_task", "left": "previous_task", "page-down": "toggle", "enter": "keep", "backspace": "discard",
}  # fmt: skip
"""Key -> action. Letters in either case; ``page-down`` is what a presenter's remote and many page-turning pedals send."""

PASTE_BYTES = 24
"""So many bytes at once were not typed: text pasted into the wrong window presses nothing."""

_NAMED = {0x20: "space", 0x0A: "enter", 0x0D: "enter", 0x7F: "backspace", 0x08: "backspace"}
_FINAL = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_NUMBERED = {"5": "page-up", "6": "page-down", "3": "delete"}


class KeyReader:
    """Turns what a terminal sends into names of keys, across reads that split an escape sequence."""

    def __init__(self) -> None:
        self._open = b""

    @property
    def waiting(self) -> bool:
        """Whether an escape sequence has begun and not ended."""
        return bool(self._open)

    def feed(self, received: bytes) -> list[str]:
        """The keys whose bytes are now whole. Sequences that are no key of ours are swallowed, never read as letters."""
        if len(received) > PASTE_BYTES:
            self._open = b""
            return []
        pending, keys = self._open + received, []
        self._open = b""
        i = 0
        while i < len(pending):
            if pending[i] != 0x1B:
                keys.append(_NAMED.get(pending[i]) or (chr(pending[i]).lower() if 0x20 < pending[i] < 0x7F else ""))
                i += 1
                continue
            end = _sequence_end(pending, i)
            if end is None:
                self._open = pending[i:][-PASTE_BYTES:]
                break
            keys.append(_sequence_name(pending[i:end].decode("latin-1")))
            i = end
        return [key for key in keys if key]

    def timeout(self) -> None:
        """Nothing followed: a lone Esc is a key of its own (of no meaning here), not the start of what is typed next."""
        self._open = b""


def _sequence_end(pending: bytes, start: int) -> int | None:
    """Where the escape sequence that begins at `start` ends; None when the rest has not come yet."""
    if start + 1 >= len(pending):
        return None
    if pending[start + 1] == 0x4F:  # SS3: one letter follows
        return start + 3 if start + 2 < len(pending) else None
    if pending[start + 1] != 0x5B:  # Alt and a key
        return start + 2
    for i in range(start + 2, len(pending)):  # CSI: parameters, then a final byte
        if 0x40 <= pending[i] <= 0x7E:
            return i + 1
    return None


def _sequence_name(sequence: str) -> str:
    if len(sequence) == 3 and sequence[1] in "[O":
        return _FINAL.get(sequence[2], "")
    if sequence.startswith("\x1b[") and sequence.endswith("~"):
        return _NUMBERED.get(sequence[2:-1], "")
    return ""
