"""The inbox (3A): it owns the signal by which a folder in it says that it is complete.

A user (or a script of theirs) puts a folder into the inbox and, when it is complete, writes
`_READY.json` into it: `{"format": "gallery-dl", "batch": "cats-2026-11", "user": "ann"}`. `format`
is the name of an adapter or `auto`; `source` may name the platform and stands for `format` where
an adapter has that name. Several users may signal at once: every folder is a batch of its own.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.records.beneath import open_beneath
from adapters.records.errors import AdapterError
from adapters.records.folder import ScrapeFolder
from adapters.sources.registry import adapter_names, sniff
from adapters.work.batch_work import READY_NAME, Signal, check_signal
from base.errors import DrystoneError, UsageError
from base.text import safe_text

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
    """One folder of the inbox: its signal, or why there is none that can be used.

    `is_refused` when there is a signal and something is wrong with it or its folder.
    `signal_time_s` is when that was written last, 0 without one.
    """

    folder: str
    signal: Signal | None
    problem: str | None
    is_refused: bool = False
    signal_time_s: float = 0.0


def waiting_folders(inbox: str) -> list[Waiting]:
    """Return every folder of the inbox in name order, with or without a signal.

    Folders whose name begins with a dot are none of the user's. UsageError when the inbox itself
    cannot be listed; what is wrong with one folder is told in its place.
    """
    try:
        with os.scandir(inbox) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError as error:
        raise UsageError(
            f"the inbox {inbox!a} cannot be listed: {error.strerror}; put that right and repeat"
        ) from error
    return [_look_at(os.path.join(inbox, name)) for name in names]


def _look_at(folder: str) -> Waiting:
    try:
        # Not its time of modification, which whoever copies it may keep.
        time_s = os.lstat(os.path.join(folder, READY_NAME)).st_ctime
    except FileNotFoundError:
        return Waiting(folder, None, f"no {READY_NAME} yet")
    except OSError as error:
        return Waiting(folder, None, f"cannot be read: {error.strerror}", is_refused=True)
    try:
        return Waiting(folder, read_signal(folder), None, signal_time_s=time_s)
    except (DrystoneError, OSError) as error:
        return Waiting(folder, None, str(error), is_refused=True, signal_time_s=time_s)


def is_signalled(folder: str) -> bool:
    """Whether a folder has a signal, usable or not."""
    return os.path.lexists(os.path.join(folder, READY_NAME))


def read_signal(folder: str) -> Signal:
    """Return what `_READY.json` says; UsageError says what is wrong with it."""
    path = os.path.join(folder, READY_NAME)
    try:
        ready = Ready.model_validate(json.loads(_read_ready(folder)))
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
            for item in error.errors()
        ]
        raise UsageError(safe_text(f"{path!a} is refused: " + "; ".join(lines))) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path!a} cannot be read: {error}; write it again") from error
    name = ready.format or ready.source or "auto"
    check_signal(Signal(folder, ready.batch, name, ready.user))
    return Signal(folder, ready.batch, choose_adapter(folder, name), ready.user)


def _read_ready(folder: str) -> bytes:
    path = os.path.join(folder, READY_NAME)
    try:
        descriptor = open_beneath(folder, READY_NAME)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{path!a} is no regular file; write it as one")
            data = file.read(READY_BYTES_MAX + 1)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise UsageError(f"{path!a} is no regular file; write it as one") from error
        raise UsageError(f"{path!a} cannot be read: {error.strerror}") from error
    if len(data) > READY_BYTES_MAX:
        raise UsageError(f"{path!a} is larger than {READY_BYTES_MAX:,} bytes")
    return data


def choose_adapter(folder: str, name: str) -> str:
    """Return the adapter of this name; `auto` asks them all and needs one that is sure enough."""
    if name != "auto":
        if name not in adapter_names():
            raise UsageError(
                f"there is no adapter {name!a}; `drystone source list` names them, and "
                "`drystone source sniff FOLDER` guesses"
            )
        return name
    frozen = ScrapeFolder.of(folder)
    try:
        answers = sniff(frozen)
    except (DrystoneError, OSError):
        raise
    except Exception as error:
        raise AdapterError(
            f"an adapter failed to look at {folder!a}: {type(error).__name__}: {error}; this is "
            "the adapter's mistake: report it, and name the right one with --source NAME"
        ) from error
    if not answers or answers[0][1].confidence < CONFIDENCE_MIN:
        guess = f"; the best guess is {answers[0][0]}" if answers else ""
        raise UsageError(
            f"no adapter is sure enough about {folder!a}{guess}; name one with --source NAME "
            "(`drystone source list`)"
        )
    return answers[0][0]
