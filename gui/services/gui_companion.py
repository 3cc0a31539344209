"""The public port and the pages as companions of the store: what `up`, `down` and `status` do.

Everything is imported where it is needed: the front door loads this module for every command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from base.errors import DrystoneError

if TYPE_CHECKING:
    from gui.core.config import GuiConfig
    from gui.core.server_process import Running, ServerProcess

Say = Callable[[str], None]


class _Companion:
    """Starts and stops one server, unless [gui] switches it off."""

    name: str
    called: str
    setting: str

    def start(self, config_path: str, say: Say = lambda _: None) -> None:
        """Start it. Raises GuiError."""
        config = self._config(config_path)
        if getattr(config, self.setting):
            running, started = self._process(config).start()
            is_new = "" if started else "up already "
            say(f"{self.called} {is_new}at {self._place(config, running)}")

    def stop(self, config_path: str, say: Say = lambda _: None) -> None:
        """Stop it. Raises GuiError."""
        config = self._config(config_path)
        stopped = self._process(config).stop()
        if stopped or getattr(config, self.setting):
            say(f"{self.called} {'down' if stopped else 'down already'}")

    def status(self, config_path: str) -> tuple[bool, str]:
        """Tell whether it runs, and where."""
        try:
            config = self._config(config_path)
        except DrystoneError as error:
            return False, str(error)
        running = self._process(config).find()
        if running is not None:
            return True, f"{self._place(config, running)}, process {running.pid}"
        if not getattr(config, self.setting):
            return True, f"switched off ({self.setting} in [gui])"
        return False, "down; start it with `drystone up`"

    def _config(self, config_path: str) -> GuiConfig:
        from gui.core.config import load_gui_config

        return load_gui_config(config_path)

    def _process(self, config: GuiConfig) -> ServerProcess:
        raise NotImplementedError

    def _place(self, config: GuiConfig, running: Running) -> str:
        return running.address


class ApiCompanion(_Companion):
    """The public port."""

    name = "api"
    called = "the API is"
    setting = "api_enabled"

    def _process(self, config: GuiConfig) -> ServerProcess:
        from gui.core.server_process import api_process

        return api_process(config)


class PagesCompanion(_Companion):
    """The pages, to which the public port leads."""

    name = "pages"
    called = "the pages are"
    setting = "enabled"

    def _process(self, config: GuiConfig) -> ServerProcess:
        from gui.core.server_process import pages_process

        return pages_process(config)

    def _place(self, config: GuiConfig, running: Running) -> str:
        from gui.core.server_process import api_process

        port = api_process(config).find()
        return running.address if port is None else port.address


api_companion = ApiCompanion()
companion = PagesCompanion()
