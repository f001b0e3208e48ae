"""Tokens that say who may do what to which episode: an HMAC under a secret that lives and dies with the process."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal

Scope = Literal["read", "write"]

LIFE_S = {"read": 12 * 3600, "write": 12 * 3600}
"""How long a token is good for, from the start of its window; a read token stands in URLs."""


class Tokens:
    """Mints and checks tokens. Those minted within one half life are equal, so that a page drawn again does not fetch again."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def mint(self, scope: Scope, episode: str, author: str = "", *, now_s: float | None = None) -> str:
        """A token for one episode; `author` is who its edits will be by."""
        half = LIFE_S[scope] // 2
        expires = (int(time.time() if now_s is None else now_s) // half + 2) * half
        body = urlsafe_b64encode(json.dumps([scope, episode, author, expires]).encode()).decode()
        return f"{body}.{self._sign(body)}"

    def check(self, token: str, scope: Scope, episode: str, *, now_s: float | None = None) -> str | None:
        """The author of a token that is good for this; None for any other."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        found, of, author, expires = json.loads(urlsafe_b64decode(body))
        good = found == scope and of == episode and (time.time() if now_s is None else now_s) < expires
        return str(author) if good else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()
