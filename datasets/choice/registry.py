"""Which layouts there are: it owns finding them by their names, and none of them.

Each module of `datasets.layouts` is one layout, whose id is the module's name.
"""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module

from base.errors import UsageError
from datasets import layouts
from datasets.layout.face import Layout


def layout_names() -> list[str]:
    """Return the ids of all layouts."""
    return sorted(module.name for module in pkgutil.iter_modules(layouts.__path__))


def layout_named(layout_id: str) -> Layout:
    """Return a layout; UsageError, with those there are, when nobody wrote it."""
    names = layout_names()
    if layout_id not in names:
        near = difflib.get_close_matches(layout_id, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
        raise UsageError(f"there is no layout {layout_id!a}; {hint}")
    layout: Layout = import_module(f"{layouts.__name__}.{layout_id}").LAYOUT
    return layout
