"""Rates: ASGI middleware that bounds how often a token, and an address, may ask the API.

A bucket each, that fills with time: `BURST_S` seconds' worth may come at once. Whoever asks more
often is answered 429 with the time to wait, before anything is looked up. Nothing is kept of it.
Of what is shared by a link only what is not there counts: so nobody guesses secrets.
"""

from __future__ import annotations

import hashlib
import math
import time

from gui.access.guard import CONTENT_PATHS
from gui.door.bodies import App, Message, Receive, Scope, Send, refuse

BURST_S = 4.0
ADDRESS_FACTOR = 4.0
"""An address may be many programs, each with its own token."""
BUCKETS_MAX = 20_000
SHARED = "/shared/"
MISSES_PER_S = 5.0
"""So often an address may name another secret that is none; `BURST_S` seconds' worth at once."""


class Rates:
    """Refuses those who ask too often; one event loop's alone."""

    def __init__(self, app: App, requests_per_s: float) -> None:
        self._app = app
        self._rate = requests_per_s
        # What is left of a bucket, and when that was so; the one that waited longest first.
        self._buckets: dict[tuple[str, bytes], tuple[float, float]] = {}
        # The last secret that was none, by address.
        self._missed: dict[bytes, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and _is_rated(scope):
            wait_s = self._wait_s(scope)
            if wait_s > 0:
                detail = "you ask too often; see Retry-After, and [gui] requests_per_s"
                retry = {"retry-after": str(math.ceil(wait_s))}
                await refuse(send, 429, "TooManyRequestsError", detail, retry)
                return
        elif scope["type"] == "http" and scope["path"].startswith(SHARED):
            key = "shared", _address(scope)
            if (wait_s := self._take(key, MISSES_PER_S, count=0)) > 0:
                detail = "too many links that show nothing were asked for; see Retry-After"
                retry = {"retry-after": str(math.ceil(wait_s))}
                await refuse(send, 429, "TooManyRequestsError", detail, retry)
                return
            secret = scope["path"].removeprefix(SHARED).partition("/")[0]
            send = self._counting(key, secret, send)
        await self._app(scope, receive, send)

    def _counting(self, key: tuple[str, bytes], secret: str, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:
                # A page of what is shared no more has many pictures: they are one guess.
                if self._missed.pop(key[1], "") != secret:
                    self._take(key, MISSES_PER_S)
                while len(self._missed) >= BUCKETS_MAX:
                    self._missed.pop(next(iter(self._missed)))
                self._missed[key[1]] = secret
            await send(message)

        return answer

    def _wait_s(self, scope: Scope) -> float:
        keys = [(("address", _address(scope)), self._rate * ADDRESS_FACTOR)]
        if shown := dict(scope["headers"]).get(b"authorization"):
            keys.append((("token", hashlib.sha256(shown).digest()), self._rate))
        return max([self._take(key, rate) for key, rate in keys])

    def _take(self, key: tuple[str, bytes], rate: float, count: int = 1) -> float:
        """Take from a bucket, or only look; returns how long to wait where it is empty."""
        now = time.monotonic()
        left, then = self._buckets.pop(key, (rate * BURST_S, now))
        left = min(rate * BURST_S, left + (now - then) * rate)
        while len(self._buckets) >= BUCKETS_MAX:
            self._buckets.pop(next(iter(self._buckets)))
        is_there = left >= 1
        self._buckets[key] = (left - count if is_there else left, now)
        return 0.0 if is_there else (1 - left) / rate


def _address(scope: Scope) -> bytes:
    return scope["client"][0].encode() if scope.get("client") else b""


def _is_rated(scope: Scope) -> bool:
    if scope["path"].startswith("/api/"):
        return True
    # A browser asks for all pictures of a page at once.
    is_program = any(name == b"authorization" for name, _ in scope["headers"])
    return is_program and scope["path"].startswith(CONTENT_PATHS)
