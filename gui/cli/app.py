"""The sub-commands of the browser's side and of services, and what `gui serve|status` print."""

from __future__ import annotations

import typer

from base.config import find_config
from base.errors import EXIT_CODES
from base.operations.commands import OperationGroup
from base.options import ConfigOption, JsonOption
from base.output import write_json, write_line
from gui.cli.service import app as service_app

app = typer.Typer()
gui = typer.Typer(
    help="The pages in the browser: serve them, and say who may log in.", no_args_is_help=True
)
user = OperationGroup("user", "gui.access.operations", no_args_is_help=True, help="Who may log in.")
gui.add_typer(user, name="user")
token = OperationGroup(
    "token", "gui.access.token_operations", no_args_is_help=True, help="Tokens of programs."
)
app.add_typer(token, name="token")
app.add_typer(gui, name="gui")
app.add_typer(service_app, name="service")


@app.command(epilog=EXIT_CODES)
def api(config: ConfigOption = None) -> None:
    """Serve the API and lead to the pages, in the foreground; `drystone up` does so behind."""
    from gui.core.config import load_gui_config
    from gui.door.door import serve as serve_port

    serve_port(load_gui_config(find_config(config)))


@gui.command(epilog=EXIT_CODES)
def serve(config: ConfigOption = None) -> None:
    """Serve the pages in the foreground, for `drystone api`; `drystone up` does so behind."""
    from gui.core.config import load_gui_config
    from gui.server.server import serve as serve_pages

    serve_pages(load_gui_config(find_config(config)))


@gui.command()
def status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell where the pages are. Ends with 3 when they are not served."""
    from gui.core.config import load_gui_config
    from gui.core.server_process import api_process, pages_process

    found = load_gui_config(find_config(config))
    port, pages = api_process(found).find(), pages_process(found).find()
    running = port if pages is not None else None
    if json_output:
        write_json({"running": running is not None, "address": running and running.address})
    else:
        write_line(running.address if running else "down; start it with `drystone up`")
    if running is None:
        raise typer.Exit(3)
