"""What starts and stops with a store and is not part of it: it owns the list of such companions.

The front door adds them; this folder knows only their names. The database is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fsd.cli.demo.demo_steps import Demo

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


_companions: list[Companion] = []
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


def add_chapter(chapter: Callable[[Demo], None]) -> None:
    """Let the demo go on with this when the store has shown what it can."""
    _chapters.append(chapter)


def chapters() -> list[Callable[[Demo], None]]:
    """Return the chapters, in the order in which they were added."""
    return list(_chapters)
