"""The version of Drystone that is installed: what its package's metadata says."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of


def version() -> str:
    """Return it; "unknown" where the checkout was never installed."""
    try:
        return version_of("drystone")
    except PackageNotFoundError:
        return "unknown"
