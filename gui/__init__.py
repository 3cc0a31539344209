"""The browser's side (S06): pages, dashboards, explorer and HTTP API over all other folders.

This is the folder's face. Names are loaded when they are first used, so that `--help` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gui.cli import app as cli_app
    from gui.errors import GuiError
    from gui.gui_companion import companion

_HOMES = {
    "GuiError": "gui.errors",
    "cli_app": "gui.cli",
    "companion": "gui.gui_companion",
}

__all__ = ["GuiError", "cli_app", "companion"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module gui has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
