"""Working off the inbox: it owns what one folder that fails means for the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence

from adapters.ingest.inbox import Waiting
from adapters.ingest.ingest import IngestReport, ingest
from base.errors import DrystoneError
from fsd import Client, load_config
from sql import Database


def run_all(
    config_path: str, found: Sequence[Waiting], say: Callable[[str], None]
) -> Generator[IngestReport, None, bool]:
    """Ingest the signalled folders in order; returns whether all of them are in and understood.

    Every failure is one line, and the next folder is tried. Raises the error of the store's engine
    or the database when they do not answer; a mistake of ours is raised after the last folder.
    """
    _check_services(config_path)
    is_complete, mistake = True, None
    for one in found:
        name = os.path.basename(one.folder)
        if one.signal is None:
            say(f"{name}: left alone: {one.problem}")
            is_complete = is_complete and not one.is_refused
            continue
        try:
            report = ingest(config_path, one.signal, say)
        except (DrystoneError, OSError) as error:
            say(f"{name}: {error}")
            is_complete = False
            _check_services(config_path)
        except Exception as error:
            say(f"{name}: failed by a mistake of ours, {type(error).__name__}: {error}")
            mistake = mistake or error
        else:
            yield report
            is_complete = is_complete and not report.quarantined
    if mistake is not None:
        raise mistake
    return is_complete


def _check_services(config_path: str) -> None:
    """Raise the error of whoever does not answer: then no other folder could come in either."""
    Client(load_config(config_path).socket_path).health()
    with Database.open(config_path):
        pass
