"""The log of a daemon: set up once at its edge, with its start, its end and how it failed.

It is `run/log/DAEMON.jsonl` of the store. Somebody who reads along gets plain text on stderr, too:
on a terminal, in the journal of a service, in a pipe. Not where stderr is the file that
`base.processes.process.spawn` keeps for what comes past the log: a crash of the interpreter, or a
library.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from base.errors import DrystoneError
from base.logging.file import FILE_SIZE_BYTES, FILES_KEPT, LogFile
from base.logging.form import JsonLines, TextLines
from base.logging.ids import about

OURS = ("base", "fsd", "sql", "adapters", "datasets", "jobs", "gui")
"""Loggers of our own, by their first name; of libraries only warnings are logged."""

_log = logging.getLogger(__name__)


def log_folder(config_path: str) -> str:
    """Return the folder of the logs of a store."""
    return os.path.join(os.path.dirname(os.path.abspath(config_path)), "run", "log")


@contextmanager
def daemon_log(daemon: str, config_path: str) -> Generator[None]:
    """Log what happens in the block, which is the life of a daemon, by [log] of drystone.toml.

    Raises ConfigError where that section is wrong.
    """
    from base.config import read_config

    file = read_config(config_path)
    settings: dict[str, Any] = {}
    if file.section("log"):
        from base.logging.config import LogConfig  # With pydantic, which the mount is without.

        settings = file.checked(LogConfig, "log").model_dump()
    start(daemon, log_folder(config_path), **settings)
    with told_life(daemon):
        yield


def start(
    daemon: str,
    folder: str,
    level: str = "INFO",
    file_size_bytes: int = FILE_SIZE_BYTES,
    files_kept: int = FILES_KEPT,
) -> None:
    """Send what this process logs to the file of a daemon; to stderr alone without a folder."""
    handlers: list[logging.Handler] = []
    if folder:
        file = LogFile(os.path.join(folder, f"{daemon}.jsonl"), file_size_bytes, files_kept)
        file.setFormatter(JsonLines(daemon))
        handlers.append(file)
    if not folder or not _is_kept(sys.stderr.fileno(), os.path.dirname(folder)):
        handlers.append(text_handler())
    logging.basicConfig(handlers=handlers, level=logging.WARNING, force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    threading.excepthook = _log_thread


def text_handler() -> logging.Handler:
    """Return a handler that writes plain text to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines())
    handler.addFilter(lambda record: not getattr(record, "is_told", False))
    return handler


@contextmanager
def also_on_stderr() -> Generator[None]:
    """Write what is logged in the block to stderr too, where that is not done already."""
    root = logging.getLogger()
    handler = text_handler()
    is_done = any(type(other) is type(handler) for other in root.handlers)
    if not is_done:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


@contextmanager
def told_life(daemon: str) -> Generator[None]:
    """Log that a daemon starts and stops, or how it failed."""
    from base.version import version

    _log.info("%s starts", daemon, extra=about("daemon.started", version=version()))
    try:
        yield
    except DrystoneError as error:
        # For later readers: who reads along gets it as a line of its own, from the caller's edge.
        told = {**about("daemon.failed"), "is_told": True}
        _log.error("%s failed: %s", daemon, error, extra=told)
        raise
    except Exception:
        _log.exception("%s failed", daemon, extra=about("daemon.failed"))
        raise
    _log.info("%s stops", daemon, extra=about("daemon.stopped"))


def _is_kept(descriptor: int, folder: str) -> bool:
    """Tell whether what is written to a descriptor lands in a file of this folder."""
    with suppress(OSError):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        return path.startswith(os.path.realpath(folder) + os.sep)
    return False


def _log_thread(ended: Any) -> None:
    """Log what a thread ended with that nobody caught."""
    if ended.exc_type is SystemExit:
        return
    name = ended.thread.name if ended.thread is not None else "a thread"
    trace = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    _log.error("%s failed", name, exc_info=trace, extra=about("thread.failed", thread=name))
