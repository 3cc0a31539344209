"""Wrong places in the index: it owns asking the engine to look where an object really lies.

The mount never writes, and lives without the engine: where that does not answer, a read fails as it
would have failed. What the engine looked up is not asked again for a while, so that a lost object
that many want costs the disks nothing.
"""

import logging
import time
from collections import OrderedDict

import trio

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.format.errors import EngineUnavailableError

ASK_TIMEOUT_S = 10.0
ASK_AGAIN_S = 60.0
SILENT_S = 10.0
"""So long nothing is asked of an engine that did not answer."""
ASKED_KEPT_MAX = 4096
ASKED_AT_ONCE_MAX = 4
TOLD_WAITING_MAX = 64

_log = logging.getLogger(__name__)


class Healer:
    """The way to the engine at one address; none when that is empty."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._asked: OrderedDict[bytes, float] = OrderedDict()
        self._limit: trio.CapacityLimiter | None = None
        self._silent_until_s = float("-inf")

    def has_asked(self, key: bytes) -> bool:
        """Return whether the engine was asked about an object, not too many others ago."""
        return key in self._asked

    async def heal(self, key: bytes) -> bool:
        """Return whether the index may know another place of an object by now."""
        now_s = time.monotonic()
        if not self._address or now_s - self._asked.get(key, -ASK_AGAIN_S) < ASK_AGAIN_S:
            return False
        self._asked[key] = now_s
        while len(self._asked) > ASKED_KEPT_MAX:
            self._asked.popitem(last=False)
        # Of threads that ask the engine at once. Made here, where there is a loop.
        self._limit = self._limit or trio.CapacityLimiter(ASKED_AT_ONCE_MAX)
        return await trio.to_thread.run_sync(
            self._ask, key.hex(), abandon_on_cancel=True, limiter=self._limit
        )

    async def tell(self, key: bytes) -> None:
        """Let the engine look at an object that one replica did not give; raises nothing.

        It is told of some: whoever waits behind many such objects finds the same damage later.
        """
        if self._limit is not None and self._limit.statistics().tasks_waiting >= TOLD_WAITING_MAX:
            return
        try:
            await self.heal(key)
        except Exception:
            # One that escaped would end the mount.
            _log.exception(
                "the engine was not told of %s", key.hex(), extra=about("object.heal_untold")
            )

    def _ask(self, key: str) -> bool:
        """Ask, in a thread, unless the engine was silent while this waited for others to be told.

        Else whoever reads many such objects would wait for one after the other, and keep all of
        the mount's tasks waiting, while an engine hangs.
        """
        # Here, for nearly no mount ever needs it: the models take a third of a second.
        from fsd.client.client import Client
        from fsd.operations.files import OneObject, heal

        if time.monotonic() < self._silent_until_s:
            return False
        try:
            return bool(Client(self._address).ask(heal, OneObject(key=key), ASK_TIMEOUT_S))
        except DrystoneError as error:
            if isinstance(error, EngineUnavailableError):
                self._silent_until_s = time.monotonic() + SILENT_S
            _log.warning(
                "%s cannot be read, and nobody looks for it: %s",
                key,
                error,
                extra=about("object.unsought"),
            )
            return False
