"""The inbox (3A): it owns the signal by which a folder in it says that it is complete.

A user (or a script of theirs) puts a folder into the inbox and, when it is complete, writes
`_READY.json` into it: `{"format": "gallery-dl", "batch": "cats-2026-11", "user": "ann"}`. `format`
is the name of an adapter or `auto`; `source` may name the platform and stands for `format` where
an adapter has that name. Several users may signal at once: every folder is a batch of its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.batch_work import READY_NAME, WORK_FOLDER, Signal, check_batch_name
from adapters.errors import UsageError
from adapters.folder import ScrapeFolder
from adapters.registry import adapter_names, sniff

READY_BYTES_MAX = 64 << 10
CONFIDENCE_MIN = 0.5


class Ready(BaseModel):
    """The document `_READY.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: str
    format: str | None = None
    source: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """One folder of the inbox: its signal, or why there is none that can be used."""

    folder: str
    signal: Signal | None
    problem: str | None


def waiting_folders(inbox: str) -> list[Waiting]:
    """Return every folder of the inbox in name order, with or without a signal."""
    found: list[Waiting] = []
    for entry in sorted(os.scandir(inbox), key=lambda entry: entry.name):
        if not entry.is_dir(follow_symlinks=False) or entry.name == WORK_FOLDER:
            continue
        if not os.path.exists(os.path.join(entry.path, READY_NAME)):
            found.append(Waiting(entry.path, None, f"no {READY_NAME} yet"))
            continue
        try:
            found.append(Waiting(entry.path, read_signal(entry.path), None))
        except UsageError as error:
            found.append(Waiting(entry.path, None, str(error)))
    return found


def read_signal(folder: str) -> Signal:
    """Return what `_READY.json` says; UsageError says what is wrong with it."""
    path = os.path.join(folder, READY_NAME)
    try:
        with open(path, "rb") as file:
            data = file.read(READY_BYTES_MAX + 1)
        if len(data) > READY_BYTES_MAX:
            raise UsageError(f"{path!a} is larger than {READY_BYTES_MAX:,} bytes")
        ready = Ready.model_validate(json.loads(data))
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
            for item in error.errors()
        ]
        raise UsageError(f"{path!a} is refused: " + "; ".join(lines)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path!a} cannot be read: {error}") from error
    check_batch_name(ready.batch)
    adapter = choose_adapter(folder, ready.format or ready.source or "auto")
    return Signal(folder, ready.batch, adapter, ready.user)


def choose_adapter(folder: str, name: str) -> str:
    """Return the adapter of this name; `auto` asks them all and needs one that is sure enough."""
    if name != "auto":
        if name not in adapter_names():
            raise UsageError(
                f"there is no adapter {name!a}; `drystone source list` names them, and "
                "`drystone source sniff FOLDER` guesses"
            )
        return name
    answers = sniff(ScrapeFolder.of(folder))
    if not answers or answers[0][1].confidence < CONFIDENCE_MIN:
        guess = f"; the best guess is {answers[0][0]}" if answers else ""
        raise UsageError(
            f"no adapter is sure enough about {folder!a}{guess}; name one with --source NAME "
            "(`drystone source list`)"
        )
    return answers[0][0]
