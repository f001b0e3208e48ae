"""What firsthand says when people, files or devices are at fault."""

import difflib
from collections.abc import Iterable


class FirsthandError(Exception):
    """A fault in data, a device or a request: what was given, what was wanted, what to do.

    Command lines print the message and return 1; the app shows it. A programmer's mistake is a ``ValueError`` instead.
    """


class DamagedError(FirsthandError):
    """One file's content is at fault, not the machine or the request: work on other files can go on."""


def unknown(kind: str, name: str, known: Iterable[str]) -> FirsthandError:
    """The error for a name that is not in a list, naming the near ones and then all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return FirsthandError(f"no {kind} called {name!r}{hint} (there are: {', '.join(names) or 'none'})")
