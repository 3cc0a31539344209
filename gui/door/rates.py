"""Rates: ASGI middleware that bounds how often a token, and an address, may ask the API.

A bucket each, that fills with time: `BURST_S` seconds' worth may come at once. Whoever asks more
often is answered 429 with the time to wait, before anything is looked up. Nothing is kept of it.
"""

from __future__ import annotations

import hashlib
import math
import time

from gui.access.guard import CONTENT_PATHS
from gui.door.bodies import App, Receive, Scope, Send, refuse

BURST_S = 4.0
ADDRESS_FACTOR = 4.0
"""An address may be many programs, each with its own token."""
BUCKETS_MAX = 20_000


class Rates:
    """Refuses those who ask too often; one event loop's alone."""

    def __init__(self, app: App, requests_per_s: float) -> None:
        self._app = app
        self._rate = requests_per_s
        # What is left of a bucket, and when that was so; the one that waited longest first.
        self._buckets: dict[tuple[str, bytes], tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and _is_rated(scope):
            wait_s = self._wait_s(scope)
            if wait_s > 0:
                detail = "you ask too often; see Retry-After, and [gui] requests_per_s"
                retry = {"retry-after": str(math.ceil(wait_s))}
                await refuse(send, 429, "TooManyRequestsError", detail, retry)
                return
        await self._app(scope, receive, send)

    def _wait_s(self, scope: Scope) -> float:
        address = scope["client"][0] if scope.get("client") else ""
        keys = [(("address", address.encode()), self._rate * ADDRESS_FACTOR)]
        if shown := dict(scope["headers"]).get(b"authorization"):
            keys.append((("token", hashlib.sha256(shown).digest()), self._rate))
        return max([self._take(key, rate) for key, rate in keys])

    def _take(self, key: tuple[str, bytes], rate: float) -> float:
        """Take one from a bucket; returns how long to wait where it is empty."""
        now = time.monotonic()
        left, then = self._buckets.pop(key, (rate * BURST_S, now))
        left = min(rate * BURST_S, left + (now - then) * rate)
        while len(self._buckets) >= BUCKETS_MAX:
            self._buckets.pop(next(iter(self._buckets)))
        is_there = left >= 1
        self._buckets[key] = (left - 1 if is_there else left, now)
        return 0.0 if is_there else (1 - left) / rate


def _is_rated(scope: Scope) -> bool:
    if scope["path"].startswith("/api/"):
        return True
    # A browser asks for all pictures of a page at once.
    is_program = any(name == b"authorization" for name, _ in scope["headers"])
    return is_program and scope["path"].startswith(CONTENT_PATHS)
