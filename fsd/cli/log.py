"""`drystone log`: what the daemons of a store logged, as one list."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from base.config import find_config
from base.errors import EXIT_CODES, UsageError
from base.options import ConfigOption, JsonOption
from base.output import write_json, write_line

LINES = 50
SEEN_MAX = 200

app = typer.Typer()


class Level(StrEnum):
    """The least that is shown."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@app.command(epilog=EXIT_CODES)
def log(
    daemon: Annotated[
        str, typer.Argument(metavar="[DAEMON]", help="One alone, such as engine or worker-io-1.")
    ] = "",
    lines: Annotated[
        int, typer.Option("--lines", min=0, help="So many of the last ones; 0 for all.")
    ] = LINES,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is logged, until Ctrl-C.")
    ] = False,
    level: Annotated[Level, typer.Option("--level", help="Nothing below.")] = Level.DEBUG,
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Of a run.")] = None,
    job: Annotated[str, typer.Option("--job", metavar="ID", help="Of a job of the engine.")] = "",
    request: Annotated[
        str, typer.Option("--request", metavar="ID", help="Of a request, as an error names it.")
    ] = "",
    trace: Annotated[str, typer.Option("--trace", metavar="ID", help="Of a W3C trace.")] = "",
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print what the daemons logged: engine, mount, workers, scheduler, pages.

    Example:
      drystone log engine --level WARNING --follow
    """
    from base.logging.daemon import log_folder
    from base.logging.reading import Follower, daemons_of, newest, read_logs

    folder = log_folder(find_config(config))
    known = daemons_of(folder)
    if daemon and daemon not in known:
        raise UsageError(f"there is no log of {daemon!a}; there are {', '.join(known) or 'none'}")
    wanted = {"run": run, "job": job, "request_id": request, "trace_id": trace}
    ids = {name: value for name, value in wanted.items() if value not in (None, "")}

    def daemons() -> list[str]:
        return [daemon] if daemon else daemons_of(folder)

    def shown(documents: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        return (one for one in documents if _is_wanted(one, level, ids))

    # Before the past is read: what comes in between is in both, and in none it cannot be.
    coming = Follower(folder, daemons) if follow else ()
    past: deque[dict[str, Any]] = deque(maxlen=SEEN_MAX)
    for one in newest(shown(read_logs(folder, daemons())), lines):
        past.append(one)
        _write(one, json_output)
    sys.stdout.flush()
    for one in shown(coming):
        if one not in past:
            _write(one, json_output)
            sys.stdout.flush()


def _is_wanted(document: dict[str, Any], level: Level, ids: dict[str, Any]) -> bool:
    levels = [str(one) for one in Level]
    said = str(document.get("level"))
    is_grave = said not in levels or levels.index(said) >= levels.index(level)
    return is_grave and all(document.get(name) == value for name, value in ids.items())


def _write(document: dict[str, Any], json_output: bool) -> None:
    from base.logging.form import text_of

    if json_output:
        write_json(document)
    else:
        for line in f"{document.get('daemon', '')}: {text_of(document)}".splitlines():
            write_line(line)
