"""The commands about schedules: it owns `schedule add list show enable disable remove history fire
backfill set`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.errors import EXIT_CODES, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text
from jobs.cli.session import opened, person, time_text

if TYPE_CHECKING:
    from sql import Firing, Schedule

schedule_app = typer.Typer(no_args_is_help=True, help="What the clock asks for, and when.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="VALUE is JSON or plain text."),
]
CronOption = Annotated[
    str | None,
    typer.Option("--cron", metavar="EXPRESSION", help="Five fields, or @daily and the like."),
]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", metavar="ZONE", help="As Europe/Berlin.", show_default="UTC")
]
CatchUpOption = Annotated[
    str | None,
    typer.Option("--catch-up", metavar="POLICY", help="Of what was missed: skip, once or all."),
]
CatchUpMaxOption = Annotated[
    int | None, typer.Option("--catch-up-max", metavar="COUNT", help="With all: the last so many.")
]
OverlapOption = Annotated[
    bool | None,
    typer.Option("--overlap/--no-overlap", help="Also while a run of it is going on."),
]


@schedule_app.command("add", epilog=EXIT_CODES)
def add_schedule(
    name: NameArgument,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    cron: Annotated[str, typer.Option("--cron", metavar="EXPRESSION")],
    zone: ZoneOption = None,
    parameter: ParameterOption = None,
    catch_up: CatchUpOption = None,
    catch_up_max: CatchUpMaxOption = None,
    overlap: OverlapOption = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not by the clock yet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell when it fired.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a schedule, and show when it fires next.

    A time that the clock leaves out in spring fires at the jump; one that it shows twice in autumn
    fires the first time. An expression for every hour goes on by real time.
    """
    from jobs.scheduler import schedules

    given = {
        "cron": cron,
        "zone": zone or "UTC",
        "parameters": parameters_of(parameter) or {},
        "catch_up": catch_up,
        "catch_up_max": catch_up_max,
        "overlap": overlap,
    }
    fields = {key: value for key, value in given.items() if value is not None}
    new = schedules.new_schedule(
        name=name, workflow=workflow, enabled=not disabled, created_by=person(), **fields
    )
    with opened(config) as session:
        request = schedules.request_at(session.config_path)
        if dry_run:
            times = schedules.try_schedule(new, request)
            _write_times(times, json_output)
            return
        added = schedules.add_schedule(session.database, new, request)
    _show(added, json_output)


@schedule_app.command("set", epilog=EXIT_CODES)
def set_schedule(
    name: NameArgument,
    cron: CronOption = None,
    zone: ZoneOption = None,
    parameter: ParameterOption = None,
    catch_up: CatchUpOption = None,
    catch_up_max: CatchUpMaxOption = None,
    overlap: OverlapOption = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change a schedule; what is not named stays. Given parameters replace all of the former."""
    from jobs.scheduler import schedules

    given = {
        "cron": cron,
        "zone": zone,
        "parameters": parameters_of(parameter),
        "catch_up": catch_up,
        "catch_up_max": catch_up_max,
        "overlap": overlap,
    }
    fields = {key: value for key, value in given.items() if value is not None}
    with opened(config) as session:
        request = schedules.request_at(session.config_path)
        changed = schedules.change_schedule(session.database, name, fields, request)
    _show(changed, json_output)


@schedule_app.command("list", epilog=EXIT_CODES)
def list_schedules(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the schedules with their next time."""
    with opened(config) as session:
        found = session.database.schedules.schedules()
    if json_output:
        write_json([one.model_dump(mode="json") for one in found])
        return
    rows = [
        (
            one.name,
            one.workflow,
            one.cron,
            one.zone,
            "on" if one.enabled else "off",
            time_text(one.next_time),
            one.problem or "",
        )
        for one in found
    ]
    write_table(("schedule", "workflow", "cron", "zone", "state", "next", "problem"), rows)


@schedule_app.command("show", epilog=EXIT_CODES)
def show_schedule(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show a schedule in words, with its next five times."""
    with opened(config) as session:
        found = session.database.schedules.schedule(name)
    _show(found, json_output)


@schedule_app.command("enable", epilog=EXIT_CODES)
def enable_schedule(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Let a schedule fire by the clock from now on; nothing is made up for."""
    _set_enabled(name, True, json_output, config)


@schedule_app.command("disable", epilog=EXIT_CODES)
def disable_schedule(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Let a schedule fire by hand only."""
    _set_enabled(name, False, json_output, config)


@schedule_app.command("remove", epilog=EXIT_CODES)
def remove_schedule(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Remove a schedule with its history; the runs stay."""
    with opened(config) as session:
        session.database.schedules.remove(name)
    if json_output:
        write_json({"removed": name})
    else:
        say(f"schedule {name} is removed; its runs stay")


@schedule_app.command("history", epilog=EXIT_CODES)
def schedule_history(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 20,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what became of the times of a schedule, the latest first, with why it was skipped."""
    with opened(config) as session:
        found = session.database.schedules.history(name, limit)
    _write_firings(found, json_output)


@schedule_app.command("fire", epilog=EXIT_CODES)
def fire_schedule(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Fire a schedule now; 1 when no run came of it, as one is going on."""
    from jobs.scheduler import schedules

    with opened(config) as session:
        request = schedules.request_at(session.config_path)
        firing = schedules.fire_now(session.database, name, request, person())
        session.control.push()
    _write_firings([firing], json_output)
    if firing.outcome != "fired":
        raise typer.Exit(1)


@schedule_app.command("backfill", epilog=EXIT_CODES)
def backfill_schedule(
    name: NameArgument,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="As 2026-11-01T00:00.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Without this one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the times.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make up for times that have passed and did not fire; a run for each.

    A time without an offset is one of the schedule's zone.
    """
    from jobs.scheduler import schedules

    with opened(config) as session:
        schedule = session.database.schedules.schedule(name)
        times = schedules.backfill_times(
            schedule, _moment(since, schedule), _moment(until, schedule)
        )
        if dry_run:
            _write_times(times, json_output)
            return
        request = schedules.request_at(session.config_path)
        made = schedules.backfill(session.database, name, times, request, person())
        session.control.push()
    _write_firings(made, json_output)


def parameters_of(pairs: list[str] | None) -> dict[str, Any] | None:
    """Return NAME=VALUE pairs as a document; a VALUE that is no JSON is text."""
    if pairs is None:
        return None
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"{safe_text(pair)} is no parameter; write it as NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def _set_enabled(name: str, enabled: bool, json_output: bool, config: str | None) -> None:
    from jobs.scheduler import schedules

    with opened(config) as session:
        changed = schedules.enable_schedule(session.database, name, enabled=enabled)
    _show(changed, json_output)


def _moment(text: str, schedule: Schedule) -> datetime:
    from jobs.scheduler.schedules_cron import find_zone

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{safe_text(text)} is no time; write it as 2026-11-01T00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=find_zone(schedule.zone))


def _show(schedule: Schedule, json_output: bool) -> None:
    from jobs.scheduler.schedules import described

    text, upcoming = described(schedule)
    if json_output:
        times = [moment.isoformat() for moment in upcoming]
        write_json({**schedule.model_dump(mode="json"), "text": text, "upcoming": times})
        return
    write_line(f"schedule  {schedule.name}{'' if schedule.enabled else '  (off)'}")
    write_line(f"workflow  {schedule.workflow} {json.dumps(schedule.parameters)}")
    write_line(f"when      {text}")
    missed = (
        f"the last {schedule.catch_up_max}" if schedule.catch_up == "all" else schedule.catch_up
    )
    write_line(f"missed    {missed}{', runs may overlap' if schedule.overlap else ''}")
    for moment in upcoming:
        write_line(f"next      {time_text(moment)}")
    if schedule.problem:
        write_line(f"problem   {schedule.problem}")


def _write_times(times: list[datetime], json_output: bool) -> None:
    if json_output:
        write_json([moment.isoformat() for moment in times])
        return
    for moment in times:
        write_line(time_text(moment))


def _write_firings(found: list[Firing], json_output: bool) -> None:
    if json_output:
        write_json([one.model_dump(mode="json") for one in found])
        return
    rows = [
        (
            time_text(one.due_time),
            one.outcome,
            one.cause,
            "" if one.run_id is None else str(one.run_id),
            one.reason or "",
        )
        for one in found
    ]
    write_table(("time", "outcome", "by", ">run", "why"), rows)
