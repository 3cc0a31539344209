"""`drystone service`: it owns the commands that make a store a service of the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption

app = typer.Typer(help="The services of systemd that run a store.", no_args_is_help=True)

UserOption = Annotated[
    bool, typer.Option("--user", help="For your own service manager, without root.")
]
FolderOption = Annotated[
    str | None, typer.Option("--folder", metavar="DIR", help="Write here, and start nothing.")
]


@app.command(epilog=EXIT_CODES)
def install(
    user: UserOption = False,
    folder: FolderOption = None,
    worker: Annotated[
        list[str] | None,
        typer.Option("--worker", metavar="N-QUEUE-QUEUE", help="A worker, such as 1-io-cpu."),
    ] = None,
    allow_other: Annotated[
        bool, typer.Option("--allow-other", help="Let other people into the mount.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the units.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Install the units of this store, start them, and again at every boot.

    The same again brings the units up to date. Units of the system are hardened (see the drop-ins).
    """
    from base.config import find_config
    from base.output import say, write_json, write_line
    from gui.services import services

    workers = services.checked_workers(worker)
    units = services.render(
        find_config(config), user=user, workers=workers, allow_other=allow_other
    )
    if dry_run:
        if json_output:
            write_json(units)
        for name, text in () if json_output else units.items():
            for line in (f"## {name}", *text.splitlines(), ""):
                write_line(line)
        return
    target = services.target(user=user, folder=folder)
    written = services.install(target, units)
    if json_output:
        write_json({"folder": target.folder, "written": written})
    say(f"{len(written)} of {len(units)} units are new or changed in {target.folder}")
    if folder is None:
        services.start(target)
        say("started; see `systemctl status drystone.target` and `journalctl -u drystone-engine`")


@app.command(epilog=EXIT_CODES)
def uninstall(
    user: UserOption = False, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Stop the services and remove their units; the store stays as it is."""
    from base.config import find_config
    from base.output import say, write_json
    from gui.services import services

    find_config(config)
    removed = services.uninstall(services.target(user=user))
    if json_output:
        write_json({"removed": removed})
    say(f"removed {len(removed)} files; `drystone up` starts the store without systemd")
