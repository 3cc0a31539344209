"""`drystone gui serve` and `status`: it owns what they print."""

from __future__ import annotations

import typer

from base.config import find_config
from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import write_json, write_line


def serve(config: ConfigOption = None) -> None:
    """Serve the pages in the foreground until it is stopped; `drystone up` does so behind."""
    from gui.core.config import load_gui_config
    from gui.server.server import serve as serve_pages

    serve_pages(load_gui_config(find_config(config)))


def status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell where the pages are. Ends with 3 when they are not served."""
    from gui.core.config import load_gui_config
    from gui.server.gui_process import find

    running = find(load_gui_config(find_config(config)))
    if json_output:
        write_json({"running": running is not None, "address": running and running.address})
    else:
        write_line(running.address if running else "down; start it with `drystone up`")
    if running is None:
        raise typer.Exit(3)


serve.__doc__ = f"{serve.__doc__}\n\n{EXIT_CODES}"
