"""The scheduler (S02): workflows, workers, gates, schedules and alerts over RQ and PostgreSQL.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.cli.app import app as cli_app
    from jobs.cli.demo import chapter as demo_chapter
    from jobs.core.config import JobsConfig, load_jobs_config
    from jobs.core.errors import (
        CancelledError,
        JobsError,
        LeaseLostError,
        PermanentError,
        RedisUnavailableError,
        SpaceError,
        WaitError,
    )
    from jobs.execute import Workplace, carry_out
    from jobs.queues.redis_server import answers as redis_answers
    from jobs.runs.control import RunControl, check_parameters, make_request
    from jobs.runs.control import dry_run as dry_run_request
    from jobs.runs.local_state import LocalTaskState
    from jobs.runs.registry import add_workflow, workflow_named, workflow_names
    from jobs.runs.task_state import TaskState
    from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
    from jobs.scheduler.schedules import (
        add_schedule,
        backfill_times,
        change_schedule,
        enable_schedule,
        new_schedule,
        try_schedule,
    )
    from jobs.scheduler.schedules import backfill as backfill_schedule
    from jobs.scheduler.schedules import described as described_schedule
    from jobs.scheduler.schedules import fire_now as fire_schedule
    from jobs.scheduler.schedules import request_at as schedule_requests
    from jobs.scheduler.schedules_cron import next_firings, parse_cron
    from jobs.scheduler.schedules_text import describe_cron
    from jobs.services.jobs_companion import companion

_HOMES = {
    "CancelledError": "jobs.core.errors",
    "JobsConfig": "jobs.core.config",
    "JobsError": "jobs.core.errors",
    "LeaseLostError": "jobs.core.errors",
    "LocalTaskState": "jobs.runs.local_state",
    "PermanentError": "jobs.core.errors",
    "RedisUnavailableError": "jobs.core.errors",
    "RunControl": "jobs.runs.control",
    "SpaceError": "jobs.core.errors",
    "Step": "jobs.runs.workflow",
    "StepResult": "jobs.runs.workflow",
    "TaskContext": "jobs.runs.workflow",
    "TaskState": "jobs.runs.task_state",
    "WaitError": "jobs.core.errors",
    "Workflow": "jobs.runs.workflow",
    "Workplace": "jobs.execute",
    "add_schedule": "jobs.scheduler.schedules",
    "add_workflow": "jobs.runs.registry",
    "backfill_schedule": "jobs.scheduler.schedules",
    "backfill_times": "jobs.scheduler.schedules",
    "carry_out": "jobs.execute",
    "change_schedule": "jobs.scheduler.schedules",
    "check_parameters": "jobs.runs.control",
    "cli_app": "jobs.cli.app",
    "companion": "jobs.services.jobs_companion",
    "describe_cron": "jobs.scheduler.schedules_text",
    "described_schedule": "jobs.scheduler.schedules",
    "demo_chapter": "jobs.cli.demo",
    "dry_run_request": "jobs.runs.control",
    "enable_schedule": "jobs.scheduler.schedules",
    "fire_schedule": "jobs.scheduler.schedules",
    "load_jobs_config": "jobs.core.config",
    "make_request": "jobs.runs.control",
    "new_schedule": "jobs.scheduler.schedules",
    "next_firings": "jobs.scheduler.schedules_cron",
    "parse_cron": "jobs.scheduler.schedules_cron",
    "redis_answers": "jobs.queues.redis_server",
    "schedule_requests": "jobs.scheduler.schedules",
    "try_schedule": "jobs.scheduler.schedules",
    "workflow_named": "jobs.runs.registry",
    "workflow_names": "jobs.runs.registry",
}

_NAMES_THERE = {
    "backfill_schedule": "backfill",
    "cli_app": "app",
    "described_schedule": "described",
    "demo_chapter": "chapter",
    "dry_run_request": "dry_run",
    "fire_schedule": "fire_now",
    "redis_answers": "answers",
    "schedule_requests": "request_at",
}

__all__ = [
    "CancelledError",
    "JobsConfig",
    "JobsError",
    "LeaseLostError",
    "LocalTaskState",
    "PermanentError",
    "RedisUnavailableError",
    "RunControl",
    "SpaceError",
    "Step",
    "StepResult",
    "TaskContext",
    "TaskState",
    "WaitError",
    "Workflow",
    "Workplace",
    "add_schedule",
    "add_workflow",
    "backfill_schedule",
    "backfill_times",
    "carry_out",
    "change_schedule",
    "check_parameters",
    "cli_app",
    "companion",
    "demo_chapter",
    "describe_cron",
    "described_schedule",
    "dry_run_request",
    "enable_schedule",
    "fire_schedule",
    "load_jobs_config",
    "make_request",
    "new_schedule",
    "next_firings",
    "parse_cron",
    "redis_answers",
    "schedule_requests",
    "try_schedule",
    "workflow_named",
    "workflow_names",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module jobs has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
