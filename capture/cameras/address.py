"""A network camera's address: what is asked, and what may be shown of it."""

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from firsthand.capture.errors import FirsthandError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "tcp": None}


class Address(NamedTuple):
    """An address taken apart."""

    url: str
    """Without user and password."""
    scheme: str
    host: str
    port: int
    user: str
    password: str

    @property
    def with_login(self) -> str:
        """The whole, for a library that wants it so; never to be shown."""
        return self.url if not self.user else re.sub("//", f"//{self._login}@", self.url, count=1)

    @property
    def _login(self) -> str:
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"


def read_address(url: str) -> Address:
    """Take an address apart; ``$NAME`` as user or password stands for an environment variable: a rig file goes into every session.

    Raises `FirsthandError` for one that no camera can have.
    """
    missing = [name for name in re.findall(r"\$(\w+)", url) if name not in os.environ]
    if missing:
        raise FirsthandError(f"url names ${missing[0]}, which is not set in the environment; set it, or write %24 for a dollar sign")
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or not port:
        shown = re.sub("//.*@", "//", url)
        raise FirsthandError(f"url is {shown!r}; write http://, https://, rtsp:// or tcp:// with the camera's address, such as "
                             "'http://192.168.1.31:8080/video'; tcp needs a port")
    place, user, password = parts.netloc.rpartition("@")[2], parts.username or "", parts.password or ""
    # What a variable holds is taken as it is; what is written here may be quoted.
    login = (os.path.expandvars(text) if "$" in text else unquote(text) for text in (user, password))
    return Address(urlunsplit((parts.scheme, place, parts.path, parts.query, "")), parts.scheme, parts.hostname, port, *login)
