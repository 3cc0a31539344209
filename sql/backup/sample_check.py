"""Who compares files of a restored backup with the store: it owns the one hook for it.

This folder does not know the store. The front door says who does; without that a backup reports
that no file was compared.
"""

from __future__ import annotations

from collections.abc import Callable

CheckSample = Callable[[list[str]], list[str]]
"""Takes keys (64 hexadecimal digits), returns a line for each that the store cannot read."""

_makers: list[Callable[[str], CheckSample]] = []


def set_sample_check(make: Callable[[str], CheckSample]) -> None:
    """From now on compare by what `make` returns for the path of a drystone.toml."""
    _makers[:] = [make]


def sample_check_of(config_path: str) -> CheckSample | None:
    """Return the check for a store, or None when nobody offered one."""
    return _makers[0](config_path) if _makers else None
