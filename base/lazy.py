"""Lazy faces: a package whose names are loaded when they are first used, so that starts are quick.

A face (`__init__.py`) imports its names under `if TYPE_CHECKING:`, which only type checkers and the
import contracts follow. At run time the same lines are read as a list of where each name lives.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_face(name: str, path: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of the face `name`, whose file is `path`."""
    homes: dict[str, tuple[str, str]] = {}

    def load(wanted: str) -> Any:
        if not homes:
            homes.update(read_homes(path))
        if wanted not in homes:
            raise AttributeError(f"module {name} has no attribute {wanted}")
        module, there = homes[wanted]
        return getattr(import_module(module), there)

    return load


class LateModule:
    """A module that is imported when something of it is first used; types see the real one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, wanted: str) -> Any:
        return getattr(import_module(self._name), wanted)


def read_homes(path: str) -> dict[str, tuple[str, str]]:
    """Return {name: (its module, its name there)} of a face."""
    import ast  # Here, because every process of a disk imports a face, and asks it nothing.

    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    blocks = [node.body for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: (line.module, alias.name)
        for block in blocks
        for line in block
        if isinstance(line, ast.ImportFrom) and line.module
        for alias in line.names
    }
