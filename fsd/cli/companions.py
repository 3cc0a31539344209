"""What starts and stops with a store and is not part of it: it owns the list of such companions.

The front door adds them; this folder knows only their names. The database is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fsd.cli.demo_steps import Demo

Say = Callable[[str], None]


class Companion(Protocol):
    """A service of some other folder that belongs to the store of a drystone.toml.

    Every call is idempotent; errors are that folder's own, with an `exit_code`.
    """

    @property
    def name(self) -> str:
        """One word, as `drystone status` shows it."""
        ...

    def start(self, config_path: str, say: Say = ...) -> None:
        """Start it, and say so."""
        ...

    def stop(self, config_path: str, say: Say = ...) -> None:
        """Stop it, and say so; after this no process of it has a file of the store open."""
        ...

    def status(self, config_path: str) -> tuple[bool, str]:
        """Tell whether it runs, and one line about it; raises nothing."""
        ...


class PurgePartner(Protocol):
    """Who else knows of what is in batches, and has to be told of a purge: the database."""

    def plan(self, config_path: str, batch: str) -> tuple[str, ...] | None:
        """Return the store's batches that go with this one; None when it knows of no such batch."""
        ...

    def begin(self, config_path: str, batch: str) -> None:
        """Hide what may go, durably; asked before anything is deleted, and again after a crash."""
        ...

    def give_up(self, config_path: str, batch: str, store_batches: tuple[str, ...]) -> bool:
        """Undo `begin` when the store refused and nothing was deleted; False when something was."""
        ...

    def finish(self, config_path: str, batch: str) -> int:
        """Conclude, when everything was deleted; returns how many nodes have no bytes any more."""
        ...


_companions: list[Companion] = []
_purge_partners: list[PurgePartner] = []
_chapters: list[Callable[[Demo], None]] = []


def add_companion(companion: Companion) -> None:
    """Let `up`, `down`, `status` and the demo take this along from now on."""
    _companions.append(companion)


def start_all(config_path: str, say: Say = lambda _: None) -> None:
    """Start all, in the order in which they were added."""
    for companion in _companions:
        companion.start(config_path, say)


def stop_all(config_path: str, say: Say = lambda _: None) -> None:
    """Stop all, the last one first."""
    for companion in reversed(_companions):
        companion.stop(config_path, say)


def status_all(config_path: str) -> dict[str, tuple[bool, str]]:
    """Return by name whether each runs, and a line about it."""
    return {companion.name: companion.status(config_path) for companion in _companions}


def set_purge_partner(partner: PurgePartner) -> None:
    """Let purges tell this one from now on."""
    _purge_partners[:] = [partner]


def purge_partner() -> PurgePartner | None:
    """Return who has to be told of purges, if anybody."""
    return _purge_partners[0] if _purge_partners else None


def add_chapter(chapter: Callable[[Demo], None]) -> None:
    """Let the demo go on with this when the store has shown what it can."""
    _chapters.append(chapter)


def chapters() -> list[Callable[[Demo], None]]:
    """Return the chapters, in the order in which they were added."""
    return list(_chapters)
