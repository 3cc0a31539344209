"""`python -m jobs.process_main worker|keeper ...`: it owns the marks of long-running processes.

Whoever starts one twice under the same name finds the mark taken, and the second goes away.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from base import process
from base.errors import DrystoneError
from base.process import ProcessError
from jobs.core.config import JobsConfig, load_jobs_config

KEEPER = "keeper"
WISHED = "--wished"
"""Last argument of what runs only for as long as `up` holds."""


def run_worker(config_path: str, queues: Sequence[str], name: str, *, wished: bool = False) -> None:
    """Be a worker until SIGTERM. ProcessError when one of this name lives here already, or with
    `wished` when the jobs were stopped meanwhile."""
    config = load_jobs_config(config_path)
    mark = process.claim(worker_mark(config, name))
    if mark is None:
        raise ProcessError(f"there is a worker {name} already; give this one another --name")
    _log_to_stderr()
    _check_wish(config, wished=wished)
    from jobs.scheduler.supervise import Reviver
    from jobs.worker.worker import work

    # A horse that outlives its worker must not look like one.
    os.register_at_fork(after_in_child=lambda: os.close(mark))
    work(config, config_path, queues, name, Reviver(config, config_path).keeper)


def run_keeper(config_path: str, *, sole: bool = False, wished: bool = False) -> None:
    """Be a keeper until SIGTERM; several do no harm. With `sole` only when there is no other, and
    with `wished` only while the jobs should be up."""
    config = load_jobs_config(config_path)
    if process.claim(keeper_mark(config)) is None and sole:
        raise ProcessError("there is a keeper already")
    _log_to_stderr()
    _check_wish(config, wished=wished)
    from jobs.scheduler.keeper import keep

    keep(config, config_path)


def worker_mark(config: JobsConfig, name: str) -> str:
    """Return the mark of a worker."""
    return os.path.join(config.run_dir, f"worker-{name}.mark")


def keeper_mark(config: JobsConfig) -> str:
    """Return the mark of the keeper."""
    return os.path.join(config.run_dir, f"{KEEPER}.mark")


def _check_wish(config: JobsConfig, *, wished: bool) -> None:
    """Go away again when somebody said `down` while this process was being started.

    `down` takes the wish away and then looks for marks; we take a mark and then look for the wish.
    So one of the two sees the other, whoever started us and died.
    """
    from jobs.scheduler.supervise import is_wished

    if wished and not is_wished(config):
        raise ProcessError("the jobs were stopped meanwhile")


def _log_to_stderr() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")


def main(arguments: list[str]) -> int:
    """Run what the arguments say; returns the exit code."""
    wished = arguments[-1:] == [WISHED]
    try:
        match arguments[:-1] if wished else arguments:
            case ["worker", config_path, name, *queues] if queues:
                run_worker(config_path, queues, name, wished=wished)
            case ["keeper", config_path]:
                # Two who say `up` at once: what only one knows of, nobody would stop.
                run_keeper(config_path, sole=True, wished=wished)
            case _:
                print(
                    "usage: worker CONFIG NAME QUEUE... | keeper CONFIG [--wished]", file=sys.stderr
                )
                return 2
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
