"""What the demo leaves running in the browser: it owns the last chapter, an address and a login.

Everything is imported when it runs: the front door loads this module for every command.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsd import Demo

NAME = "admin"
PASSWORD_BYTES = 9


def chapter(demo: Demo) -> None:
    """Start the pages and add a person who may do everything, with a password of this demo."""
    if not demo.gui:
        return
    from gui.access.people import add_user
    from gui.core.config import load_gui_config
    from gui.core.server_process import api_process, pages_process
    from sql import Database

    config_path = os.path.join(demo.work, "drystone.toml")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with demo.step("Start the pages in the browser") as step:
        with Database.open(config_path) as database:
            add_user(database, NAME, "admin", password)
        config = load_gui_config(config_path)
        pages_process(config).start()
        running, _ = api_process(config).start()
        step.note = running.address
    demo.closing += [
        "In the browser:",
        f"  {running.address}   name: {NAME}   password: {password}",
    ]
