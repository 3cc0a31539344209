"""`python -m jobs.process_main worker|scheduler ...`: it owns the marks of long-running processes.

Whoever starts one twice under the same name finds the mark taken, and the second goes away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from base.errors import DrystoneError
from base.logging.daemon import daemon_log
from base.processes import process
from base.processes.process import ProcessError
from jobs.core.config import JobsConfig, load_jobs_config
from jobs.core.marks import WHILE_UP, scheduler_mark, worker_mark


def run_worker(
    config_path: str, queues: Sequence[str], name: str, *, while_up: bool = False
) -> None:
    """Be a worker until SIGTERM. ProcessError when one of this name lives here already, or with
    `while_up` when the jobs were stopped meanwhile."""
    config = load_jobs_config(config_path)
    mark = process.claim(worker_mark(config, name))
    if mark is None:
        raise ProcessError(f"there is a worker {name} already; give this one another --name")
    with daemon_log(f"worker-{name}", config_path):
        _check_should_run(config, while_up=while_up)
        from jobs.scheduler.supervise import Reviver
        from jobs.worker.worker import work

        # A horse that outlives its worker must not look like one.
        os.register_at_fork(after_in_child=lambda: os.close(mark))
        work(config, config_path, queues, name, Reviver(config, config_path).scheduler)


def run_scheduler(config_path: str, *, sole: bool = False, while_up: bool = False) -> None:
    """Be a scheduler until SIGTERM; several do no harm. With `sole` only when there is no other,
    and with `while_up` only while the jobs should be up."""
    config = load_jobs_config(config_path)
    if process.claim(scheduler_mark(config)) is None and sole:
        raise ProcessError("there is a scheduler already")
    with daemon_log("scheduler", config_path):
        _check_should_run(config, while_up=while_up)
        from jobs.scheduler.scheduler_loop import keep

        keep(config, config_path)


def _check_should_run(config: JobsConfig, *, while_up: bool) -> None:
    """Go away again when somebody said `down` while this process was being started.

    `down` takes the file away and then looks for marks; we take a mark and then look for the file.
    So one of the two sees the other, whoever started us and died.
    """
    from jobs.scheduler.supervise import should_run

    if while_up and not should_run(config):
        raise ProcessError("the jobs were stopped meanwhile")


def main(arguments: list[str]) -> int:
    """Run what the arguments say; returns the exit code."""
    while_up = arguments[-1:] == [WHILE_UP]
    try:
        match arguments[:-1] if while_up else arguments:
            case ["worker", config_path, name, *queues] if queues:
                run_worker(config_path, queues, name, while_up=while_up)
            case ["scheduler", config_path]:
                # Two who say `up` at once: what only one knows of, nobody would stop.
                run_scheduler(config_path, sole=True, while_up=while_up)
            case _:
                print(
                    "usage: worker CONFIG NAME QUEUE... | scheduler CONFIG [--while-up]",
                    file=sys.stderr,
                )
                return 2
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
