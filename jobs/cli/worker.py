"""The commands that stay: it owns `worker` and `scheduler`, as systemd runs them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, UsageError
from base.options import ConfigOption

app = typer.Typer()


@app.command("worker", epilog=EXIT_CODES)
def worker(
    queues: Annotated[
        str,
        typer.Option(
            "--queues",
            metavar="NAMES",
            help="With commas, the first one first; io.high: the high lane alone.",
        ),
    ] = "io,cpu,default",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="One of its own on this machine.")
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(
            "--api", metavar="URL", help="http://HOST:8420: on a machine without a store."
        ),
    ] = None,
    token_file: Annotated[
        str,
        typer.Option(
            "--token-file", metavar="FILE", help="With --api: a token of the scope worker."
        ),
    ] = "",
    redis: Annotated[
        str, typer.Option("--redis", metavar="URL", help="With --api: without a password.")
    ] = "",
    redis_password_file: Annotated[
        str, typer.Option("--redis-password-file", metavar="FILE", help="With --api.")
    ] = "",
    stage_root: Annotated[
        str, typer.Option("--stage-root", metavar="DIR", help="With --api: 3C, as mounted here.")
    ] = "",
    ca_file: Annotated[
        str, typer.Option("--ca-file", metavar="FILE", help="With --api: who signed its TLS.")
    ] = "",
    instance: Annotated[
        str | None,
        typer.Option("--instance", metavar="N-QUEUE-QUEUE", help="Name and queues, for systemd."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Do tasks of these queues until SIGTERM, which lets the task that runs end first.

    With --api it needs no drystone.toml, database or store, only Redis, the API and the stage area.
    """
    if api is not None:
        from jobs.remote.worker import RemotePlace, work_remotely

        place = RemotePlace(api, token_file, redis, stage_root, redis_password_file, ca_file)
        work_remotely(place, _names(queues), name or f"hand-{os.getpid()}")
        return
    from jobs.core.config import load_jobs_config
    from jobs.process_main import run_worker
    from jobs.queues.queues import HIGH

    if instance is not None:
        # A unit's name holds no comma.
        number, *parts = instance.split("-")
        if not number.isdecimal() or not all(parts):
            raise UsageError(f"{instance!a} is no number and queues, such as 1-io-cpu")
        queues, name = ",".join(parts), f"unit-{number}"
    path = find_config(config)
    known = load_jobs_config(path).queues
    wanted = _names(queues)
    unknown = [queue for queue in wanted if queue.removesuffix(HIGH) not in known]
    if unknown or not wanted:
        raise UsageError(f"there is no queue {', '.join(unknown)!a}; there are {', '.join(known)}")
    run_worker(path, wanted, name or f"hand-{os.getpid()}")


@app.command("scheduler", epilog=EXIT_CODES)
def scheduler(config: ConfigOption = None) -> None:
    """Keep runs going until SIGTERM: deliver, take back, fire schedules, send alerts."""
    from jobs.process_main import run_scheduler

    run_scheduler(find_config(config))


def _names(queues: str) -> list[str]:
    return [queue.strip() for queue in queues.split(",") if queue.strip()]
