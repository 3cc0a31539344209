"""The command `source sniff`: which adapter reads a folder."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from base.errors import EXIT_CODES, UsageError
from base.options import JsonOption
from base.output import write_json, write_table

app = typer.Typer()


@app.command("sniff", epilog=EXIT_CODES)
def sniff_source(
    folder: Annotated[str, typer.Argument(metavar="FOLDER")],
    json_output: JsonOption = False,
) -> None:
    """Guess which adapter reads a folder, and how sure it is (0 to 1)."""
    from adapters.records.folder import ScrapeFolder
    from adapters.sources.registry import sniff

    if not os.path.isdir(folder):
        raise UsageError(f"{folder!a} is not a folder")
    answers = sniff(ScrapeFolder.of(os.path.realpath(folder)))
    if json_output:
        write_json([{"adapter": name, **asdict(answer)} for name, answer in answers])
        return
    rows = [(name, f"{answer.confidence:.2f}", answer.reason) for name, answer in answers]
    write_table(("adapter", ">sure", "why"), rows)
