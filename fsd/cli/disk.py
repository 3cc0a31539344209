"""The command `disk rebind`, which works while the engine is down."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json
from fsd.cli.session import open_config

app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def rebind(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The disk's name, such as d2.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The copy that takes the original's place.")
    ],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Declare that a copied or cloned disk is the disk NAME from now on.

    Copies are refused otherwise, so that an old clone is never taken for the original. The
    original must be gone; drystone.toml says then where the copy is, and a running engine finds it
    by itself.

    \b
    Example:
      drystone disk rebind d2 /mnt/new-hdd
    """
    from base.config import find_config
    from fsd.replicas.disk_rebind import rebind_disk

    rebind_disk(open_config(config), find_config(config), name, path)
    if json_output:
        write_json({"name": name, "path": os.path.abspath(path)})
    else:
        say(f"{os.path.abspath(path)} is {name} from now on")
