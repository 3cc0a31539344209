"""What an adapter is: the interface of all formats of scraped folders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from adapters.records.folder import ScrapeFolder
    from adapters.records.items import Problem, Record, Sniff
    from sql import DeclaredTable


class Adapter(Protocol):
    """One format of scraped folders. Stateless; every method may be called from any thread.

    Conformance (tests/kit/adapters/conformance.py): `read` never raises for bad input, only for a
    folder that vanishes; every file that looks like a record of the format gives a Record or a
    Problem; the same folder gives the same items in the same order.
    """

    @property
    def name(self) -> str:
        """Name of the format, such as `gallery-dl`."""
        ...

    @property
    def tables(self) -> tuple[DeclaredTable, ...]:
        """The declared tables of the sources that it can yield."""
        ...

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Tell how sure this folder is of this format; reads a few files at most."""
        ...

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield what the folder says, sorted by path and number."""
        ...
