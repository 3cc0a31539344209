"""The command `doctor`: what of this machine keeps a store from working, and what to do about it.

It looks at limits and programs only, needs no store, and changes nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE
from base.options import JsonOption
from base.output import write_json, write_table

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fails` keeps the engine from starting."""

    what: str
    state: Literal["ok", "degraded", "fails"]
    text: str


@app.command(epilog=EXIT_CODES)
def doctor(json_output: JsonOption = False) -> None:
    """Tell what of this machine keeps a store from working.

    Looks at the limits of a process that is started here, and at programs; needs no store. Exit
    code 1 when the engine cannot start, 3 when something else cannot.
    """
    findings = examine()
    if json_output:
        write_json([asdict(one) for one in findings])
    else:
        write_table(("what", "state", ""), [(one.what, one.state, one.text) for one in findings])
    states = {one.state for one in findings}
    if "fails" in states:
        raise typer.Exit(EXIT_FAILED)
    if "degraded" in states:
        raise typer.Exit(EXIT_INCOMPLETE)


def examine() -> list[Finding]:
    """Look at this machine as a process sees it that is started from here."""
    from fsd.cli.daemons.daemon_mount import mount_problem
    from fsd.process.address_space import address_space_problem

    start, anew = address_space_problem(), address_space_problem(indexes=2)
    mount, smart = mount_problem(), shutil.which("smartctl")
    return [
        Finding("engine", "fails" if start else "ok", start or "its index fits the address space"),
        Finding(
            "reindex",
            "degraded" if anew else "ok",
            anew or "an old and a new index fit the address space",
        ),
        Finding("mount", "degraded" if mount else "ok", mount or "FUSE is there"),
        Finding(
            "disk health",
            "ok" if smart else "degraded",
            smart or "there is no smartctl here (Debian, Ubuntu: apt-get install smartmontools)",
        ),
    ]
