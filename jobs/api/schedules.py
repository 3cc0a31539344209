"""Schedules over HTTP: it owns the routes below /v1/schedules."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict

from jobs.api.turns import Turns
from jobs.scheduler import schedules
from sql import Database, Firing, NewSchedule, Schedule

HISTORY_MAX = 1_000

Name = Annotated[str, Path(min_length=1, max_length=100)]


class ScheduleAnswer(BaseModel):
    """A schedule, in words and with its next five times."""

    model_config = ConfigDict(frozen=True)

    schedule: Schedule
    text: str
    upcoming: tuple[AwareDatetime, ...]


class Change(BaseModel):
    """Fields of a schedule that become something else; what is null stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow: str | None = None
    parameters: dict[str, Any] | None = None
    cron: str | None = None
    zone: str | None = None
    catch_up: str | None = None
    catch_up_max: int | None = None
    overlap: bool | None = None


class Backfill(BaseModel):
    """The times to make up for, from `since` up to and without `until`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    by: str = ""


class Who(BaseModel):
    """Who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = ""


def _answer(schedule: Schedule) -> ScheduleAnswer:
    text, upcoming = schedules.described(schedule)
    return ScheduleAnswer(schedule=schedule, text=text, upcoming=tuple(upcoming))


def schedule_routes(config_path: str, database: Database, turns: Turns) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    request = schedules.request_at(config_path)
    book = database.schedules

    @router.get("/v1/schedules")
    async def list_schedules() -> list[ScheduleAnswer]:
        return await turns.person(lambda: [_answer(one) for one in book.schedules()])

    @router.post("/v1/schedules")
    async def add(asked: NewSchedule) -> ScheduleAnswer:
        new = asked.model_copy(update={"built_in": False})
        return _answer(await turns.person(lambda: schedules.add_schedule(database, new, request)))

    @router.get("/v1/schedules/{name}")
    async def show(name: Name) -> ScheduleAnswer:
        return _answer(await turns.person(lambda: book.schedule(name)))

    @router.post("/v1/schedules/{name}")
    async def change(name: Name, asked: Change) -> ScheduleAnswer:
        fields = asked.model_dump(exclude_none=True)
        return _answer(
            await turns.person(lambda: schedules.change_schedule(database, name, fields, request))
        )

    @router.delete("/v1/schedules/{name}")
    async def remove(name: Name) -> dict[str, str]:
        await turns.person(lambda: book.remove(name))
        return {"removed": name}

    @router.post("/v1/schedules/{name}/enable")
    async def enable(name: Name) -> ScheduleAnswer:
        return _answer(
            await turns.person(lambda: schedules.enable_schedule(database, name, enabled=True))
        )

    @router.post("/v1/schedules/{name}/disable")
    async def disable(name: Name) -> ScheduleAnswer:
        return _answer(
            await turns.person(lambda: schedules.enable_schedule(database, name, enabled=False))
        )

    @router.get("/v1/schedules/{name}/history")
    async def history(
        name: Name,
        limit: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = 50,
        before: AwareDatetime | None = None,
    ) -> list[Firing]:
        return await turns.person(lambda: book.history(name, limit, before))

    @router.post("/v1/schedules/{name}/fire")
    async def fire(name: Name, asked: Who) -> Firing:
        return await turns.person(lambda: schedules.fire_now(database, name, request, asked.by))

    @router.post("/v1/schedules/{name}/backfill")
    async def backfill(name: Name, asked: Backfill) -> list[Firing]:
        def make_up() -> list[Firing]:
            times = schedules.backfill_times(book.schedule(name), asked.since, asked.until)
            return schedules.backfill(database, name, times, request, asked.by)

        return await turns.person(make_up)

    return router
