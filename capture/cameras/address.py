"""A network camera's address: what is asked, and what may be shown of it."""

import os
import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

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
        from urllib.parse import quote

        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"


def read_address(url: str) -> Address:
    """Take an address apart; ``$NAME`` in it stands for an environment variable, so that no password need be in a rig file.

    Raises `FirsthandError` for one that no camera can have.
    """
    whole = os.path.expandvars(url)
    if "$" in whole:
        raise FirsthandError(f"url names ${whole.partition('$')[2].split(':')[0].split('@')[0].split('/')[0]}, which is not set in the "
                             "environment; set it, or write %24 for a dollar sign")
    try:
        parts = urlsplit(whole)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or not port:
        shown = re.sub("//.*@", "//", url)
        raise FirsthandError(f"url is {shown!r}; write http://, https://, rtsp:// or tcp:// with the camera's address, such as "
                             "'http://192.168.1.31:8080/video'; tcp needs a port")
    place = parts.netloc.rpartition("@")[2]
    return Address(urlunsplit((parts.scheme, place, parts.path, parts.query, "")), parts.scheme, parts.hostname, port,
                   unquote(parts.username or ""), unquote(parts.password or ""))
