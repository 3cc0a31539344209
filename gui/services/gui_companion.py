"""The pages as a companion of the store: it owns what `up`, `down` and `status` do about them.

Everything is imported where it is needed: the front door loads this module for every command.
"""

from __future__ import annotations

from collections.abc import Callable

from base.errors import DrystoneError


class GuiCompanion:
    """Starts and stops the server of the pages, unless `enabled` in [gui] is false."""

    name = "pages"

    def start(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Start it. Raises GuiError."""
        from gui.core.config import load_gui_config
        from gui.server import gui_process

        config = load_gui_config(config_path)
        if not config.enabled:
            return
        running, started = gui_process.start(config)
        say(f"the pages are {'' if started else 'up already '}at {running.address}")

    def stop(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop it. Raises GuiError."""
        from gui.core.config import load_gui_config
        from gui.server import gui_process

        config = load_gui_config(config_path)
        stopped = gui_process.stop(config)
        if stopped or config.enabled:
            say("the pages are down" if stopped else "the pages were down already")

    def status(self, config_path: str) -> tuple[bool, str]:
        """Tell whether it runs, and where."""
        from gui.core.config import load_gui_config
        from gui.server import gui_process

        try:
            config = load_gui_config(config_path)
        except DrystoneError as error:
            return False, str(error)
        running = gui_process.find(config)
        if running is not None:
            return True, f"{running.address}, process {running.pid}"
        if not config.enabled:
            return True, "switched off (enabled in [gui])"
        return False, "down; start it with `drystone up`"


companion = GuiCompanion()
