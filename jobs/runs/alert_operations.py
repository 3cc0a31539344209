"""Operations on alerts: what was, or is to be, told to whom, and whether it arrives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from base.errors import EXIT_FAILED
from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_table
from base.text import time_text
from jobs.runs.session import Session, opened
from sql import Delivery

__all__ = ["opened"]


class AlertsRequest(Document):
    """Which deliveries."""

    failed: Annotated[bool, Field(description="Only those that were given up.")] = False
    limit: Annotated[int, Field(ge=1, le=10_000)] = 50


def _show(found: Iterable[Delivery], _asked: Any) -> None:
    write_table(("channel", "about", "state", ">tries", "next", "why"), map(_row, found))


def _row(one: Delivery) -> tuple[str, ...]:
    due = time_text(one.not_before) if one.state == "waiting" else ""
    about = f"{one.kind}: {one.subject}"
    return (one.channel, about, one.state, str(one.attempts), due, one.error or "")


def _listed(session: Session, asked: AlertsRequest) -> list[Delivery]:
    events = session.database.events
    return events.deliveries("failed" if asked.failed else None, limit=asked.limit)


class Retried(Document):
    """How many are tried again, and what is listed after that."""

    retried: int
    deliveries: list[Delivery]


def _finish_retry(shell: Shell, answer: Retried, asked: AlertsRequest) -> int:
    say(f"{answer.retried} are tried again")
    if shell.is_json:
        write_json([*answer.deliveries])
    else:
        _show(answer.deliveries, asked)
    return 0


@operation(
    "run.alerts_retry",
    role="operator",
    kind="change",
    route="POST /alerts/retry",
    cli=Cli(command="run alerts --retry", is_shown=False, finish=_finish_retry),
)
def retry(session: Session, _caller: Caller, asked: AlertsRequest) -> Retried:
    """Try those again that were given up."""
    retried = session.database.events.retry_failed()
    return Retried(retried=retried, deliveries=_listed(session, asked))


@operation(
    "run.alerts",
    role="viewer",
    kind="question",
    route="GET /alerts",
    cli=Cli(switches={"retry": retry}, show=_show),
)
def alerts(session: Session, _caller: Caller, asked: AlertsRequest) -> list[Delivery]:
    """List what was, or is to be, told to whom, newest first."""
    return _listed(session, asked)


def _finish_test(shell: Shell, results: dict[str, str], _asked: NoRequest) -> int:
    if not results:
        say("nobody is told of anything; add [[jobs.alerts.channel]] to drystone.toml")
        return EXIT_FAILED
    if shell.is_json:
        write_json({**results})
    else:
        write_table(("channel", "result"), [(name, why or "told") for name, why in results.items()])
    return EXIT_FAILED if any(results.values()) else 0


@operation(
    "run.alert_test",
    role="operator",
    kind="change",
    route="POST /alerts/test",
    cli=Cli(command="run alert-test", finish=_finish_test),
)
def alert_test(session: Session, _caller: Caller, _asked: NoRequest) -> dict[str, str]:
    """Tell every channel of [jobs.alerts] at once that this is a test; 1 when one fails."""
    from jobs.core.alert_config import load_alerts_config
    from jobs.notify.send import test_document, try_channel

    channels = load_alerts_config(session.config_path).channel
    return {channel.name: try_channel(channel, test_document()) for channel in channels}
