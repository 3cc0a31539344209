"""The browser's side (S06): pages, dashboards, explorer and HTTP API over all other folders.

This is the folder's face. Names are loaded when they are first used, so that `--help` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gui.cli.app import app as cli_app
    from gui.cli.demo import chapter as demo_chapter
    from gui.core.errors import GuiError
    from gui.services.gui_companion import companion

_HOMES = {
    "GuiError": "gui.core.errors",
    "cli_app": "gui.cli.app",
    "companion": "gui.services.gui_companion",
    "demo_chapter": "gui.cli.demo",
}

_NAMES_THERE = {"cli_app": "app", "demo_chapter": "chapter"}

__all__ = ["GuiError", "cli_app", "companion", "demo_chapter"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module gui has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
