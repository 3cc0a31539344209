"""The commands about queues: it owns `queue list pause resume drain limit`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from jobs.cli.session import Session, opened, person

POLL_INTERVAL_S = 0.5

queue_app = typer.Typer(no_args_is_help=True, help="Queues: what runs, what waits, how many.")
QueueArgument = Annotated[str, typer.Argument(metavar="QUEUE")]


@queue_app.command("list", epilog=EXIT_CODES)
def list_queues(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the queues: what is queued, running and waiting, and what was said about them."""
    with opened(config) as session:
        found = session.database.runs.queues(session.config.queues)
    if json_output:
        write_json([queue.model_dump(mode="json") for queue in found])
        return
    rows = [
        (
            one.queue,
            str(one.queued),
            str(one.running),
            str(one.waiting),
            "" if one.running_max is None else str(one.running_max),
            "paused" if one.paused else "draining" if one.draining else "open",
        )
        for one in found
    ]
    write_table(("queue", ">queued", ">running", ">waiting", ">at most", "state"), rows)


@queue_app.command("pause", epilog=EXIT_CODES)
def pause_queue(
    queue: QueueArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Begin nothing of this queue any more; what runs goes on."""
    with opened(config) as session:
        session.control.set_queue(queue, paused=True, by=person())
        _answer(session, queue, json_output, "is paused")


@queue_app.command("resume", epilog=EXIT_CODES)
def resume_queue(
    queue: QueueArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Open a queue that was paused or drained."""
    with opened(config) as session:
        session.control.set_queue(queue, paused=False, draining=False, by=person())
        _answer(session, queue, json_output, "is open")


@queue_app.command("drain", epilog=EXIT_CODES)
def drain_queue(
    queue: QueueArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Until nothing of it runs.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Carry runs that have begun to their end, and begin no others until `resume`."""
    with opened(config) as session:
        session.control.set_queue(queue, draining=True, by=person())
        while wait and _running(session, queue):
            time.sleep(POLL_INTERVAL_S)
        _answer(session, queue, json_output, "drains")


@queue_app.command("limit", epilog=EXIT_CODES)
def limit_queue(
    queue: QueueArgument,
    running_max: Annotated[int, typer.Argument(metavar="COUNT", min=-1, help="-1: no limit.")],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let at most so many tasks of a queue run at once, on whatever workers."""
    with opened(config) as session:
        limit = None if running_max < 0 else running_max
        session.control.limit_queue(queue, limit, by=person())
        _answer(
            session, queue, json_output, "has no limit" if limit is None else f"at most {limit}"
        )


def _running(session: Session, queue: str) -> int:
    return next(
        (one.running for one in session.database.runs.queues((queue,)) if one.queue == queue), 0
    )


def _answer(session: Session, queue: str, json_output: bool, words: str) -> None:
    if json_output:
        found = session.database.runs.queues((queue,))
        write_json(next(one for one in found if one.queue == queue).model_dump(mode="json"))
    else:
        say(f"queue {queue} {words}")
