"""What the pages of runs work with: it owns the way to the scheduler, and readings on demand.

A reading on demand is a poller that lives while somebody looks: one for a run, a log or a filtered
list, however many browsers show it. What nobody looks at is not read. Whatever blocks here is
called through `Desk.work`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import app, ui

from base.errors import UsageError
from base.operations.operation import Caller, Operation
from gui.core.errors import ForbiddenError
from gui.reading.desk import Desk
from gui.reading.poller import Part, Poller
from gui.widgets.frame import Build, act, page, visitor
from sql import Role

if TYPE_CHECKING:
    from jobs import JobsConfig, RunControl

READINGS_MAX = 200
"""So many different runs, logs and lists are followed at once."""
READING = "reading"
"""Name of the one part of such a poller."""


class RunDesk:
    """The scheduler of a store, for all pages of runs; one per server."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._followed: dict[str, tuple[Poller, set[object]]] = {}
        app.on_shutdown(self.close)

    @property
    def config_path(self) -> str:
        """The drystone.toml."""
        return self.desk.config.config_path

    def control(self) -> RunControl:
        """Return what changes runs; blocks."""
        return self.desk.control()

    @property
    def config(self) -> JobsConfig:
        """The settings of the scheduler. Raises ConfigError."""
        return self.desk.session().config

    async def follow(
        self, name: str, title: str, read: Callable[[], Any], slowness: float = 1.0
    ) -> Poller:
        """Return a poller of the reading `name` for the current page, after its first reading.

        Pages that give the same name share it; it ends with the last page that looks at it. Raises
        the error of the reading when it cannot be read at all.
        """
        client = ui.context.client
        poller = self._join(name, title, read, slowness, client)
        client.on_delete(lambda: self._leave(name, client))
        if poller.reading(READING).read_time is None:
            await poller.refresh()
        reading = poller.reading(READING)
        if reading.read_time is None:
            self._leave(name, client)
            raise reading.error or UsageError(f"{title} is not known yet")
        return poller

    def _join(
        self, name: str, title: str, read: Callable[[], Any], slowness: float, client: object
    ) -> Poller:
        known = self._followed.get(name)
        if known is None:
            if len(self._followed) >= READINGS_MAX:
                raise UsageError("too many different things are looked at just now; try later")
            poller = Poller(
                (Part(READING, title, read),), self.desk.config.poll_interval_s * slowness
            )
            known = self._followed[name] = (poller, set())
            poller.start()
        known[1].add(client)
        return known[0]

    def leave(self, name: str) -> None:
        """Say that the current page does not look at a reading any more."""
        self._leave(name, ui.context.client)

    def _leave(self, name: str, client: object) -> None:
        known = self._followed.get(name)
        if known is None:
            return
        known[1].discard(client)
        if not known[1]:
            del self._followed[name]
            known[0].close()

    async def act(
        self,
        done: str | Callable[[Any], str],
        function: Callable[..., Any],
        *args: Any,
        role: Role = "operator",
    ) -> Any:
        """Do what a person asked for and say how it went; all that is shown is read anew.

        None when it failed or is not allowed; the role is that of now.
        """
        result = await act(self.desk, role, done, function, *args)
        for poller, _ in self._followed.values():
            poller.hurry()
        return result

    async def operate(
        self, name: str, values: dict[str, Any], done: str | Callable[[Any], str] = ""
    ) -> Any:
        """Ask for an operation as the person who looks, and say how it went; see `act`.

        The role that it needs is the operation's. Returns its answer.
        """
        from jobs import jobs_operations

        one = jobs_operations()[name]
        caller = Caller(visitor().name, visitor().role)
        return await self.act(done, self._asked, one, caller, values, role=one.role)

    def _asked(self, one: Operation[Any, Any, Any], caller: Caller, values: dict[str, Any]) -> Any:
        return one(self.desk.session(), caller, one.request_of(values))

    def close(self) -> None:
        """End all readings."""
        for poller, _ in self._followed.values():
            poller.close()
        self._followed.clear()


def work_page(desk: Desk, path: str, role: Role = "viewer") -> Callable[[Build], Build]:
    """Register a page about the scheduler's work: a viewer's, and nobody's who only labels."""

    def register(build: Build) -> Build:
        @functools.wraps(build)
        async def built(*args: Any, **kwargs: Any) -> None:
            person = visitor()
            if person.role == "labeller":
                raise ForbiddenError(f"this is not for labellers; {person.name} is one")
            result = build(*args, **kwargs)
            if inspect.isawaitable(result):
                await result

        page(desk, path, role)(built)
        return build

    return register
