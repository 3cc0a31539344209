"""The options that every command has: which store, and answers in JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import UsageError


def _nearest(context: typer.Context, given: str | None) -> str | None:
    """Prefer `--config` of the command, then that of `drystone` itself, then the environment."""
    source = context.get_parameter_source("config")
    outer = context.find_root().params.get("config")
    return outer if outer and (source is None or source.name != "COMMANDLINE") else given


# The one place where the environment is read.
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        envvar="DRYSTONE_CONFIG",
        callback=_nearest,
        metavar="FILE",
        help="The store's drystone.toml; without it, one here or in a folder above.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout.")]


def add_gone(app: typer.Typer, name: str, instead: str) -> None:
    """Keep the name of a command that is gone for one release, to say what took its place."""

    def gone() -> None:
        raise UsageError(f"`{name}` is gone: {instead}")

    gone.__doc__ = f"Gone: {instead}"
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    # A nameless part of `app`, which need not look up its own commands for it.
    part = typer.Typer()
    part.command(name, hidden=True, context_settings=settings)(gone)
    app.add_typer(part)
