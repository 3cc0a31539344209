"""The scheduler (S02): workflows, workers, gates, schedules and alerts over RQ and PostgreSQL.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.cli import app as cli_app
    from jobs.control import RunControl, check_parameters, make_request
    from jobs.control import dry_run as dry_run_request
    from jobs.demo import chapter as demo_chapter
    from jobs.errors import (
        CancelledError,
        ConfigError,
        JobsError,
        LeaseLostError,
        PermanentError,
        RedisUnavailableError,
        SpaceError,
        UsageError,
        WaitError,
    )
    from jobs.execute import Workplace, carry_out
    from jobs.jobs_companion import companion
    from jobs.jobs_config import JobsConfig, load_jobs_config
    from jobs.local_state import LocalTaskState
    from jobs.redis_server import answers as redis_answers
    from jobs.registry import add_workflow, workflow_named, workflow_names
    from jobs.schedules import (
        add_schedule,
        backfill_times,
        change_schedule,
        enable_schedule,
        new_schedule,
        try_schedule,
    )
    from jobs.schedules import backfill as backfill_schedule
    from jobs.schedules import described as described_schedule
    from jobs.schedules import fire_now as fire_schedule
    from jobs.schedules import request_at as schedule_requests
    from jobs.schedules_cron import next_firings, parse_cron
    from jobs.schedules_text import describe_cron
    from jobs.task_state import TaskState
    from jobs.workflow import Step, StepResult, TaskContext, Workflow

_HOMES = {
    "CancelledError": "jobs.errors",
    "ConfigError": "jobs.errors",
    "JobsConfig": "jobs.jobs_config",
    "JobsError": "jobs.errors",
    "LeaseLostError": "jobs.errors",
    "LocalTaskState": "jobs.local_state",
    "PermanentError": "jobs.errors",
    "RedisUnavailableError": "jobs.errors",
    "RunControl": "jobs.control",
    "SpaceError": "jobs.errors",
    "Step": "jobs.workflow",
    "StepResult": "jobs.workflow",
    "TaskContext": "jobs.workflow",
    "TaskState": "jobs.task_state",
    "UsageError": "jobs.errors",
    "WaitError": "jobs.errors",
    "Workflow": "jobs.workflow",
    "Workplace": "jobs.execute",
    "add_schedule": "jobs.schedules",
    "add_workflow": "jobs.registry",
    "backfill_schedule": "jobs.schedules",
    "backfill_times": "jobs.schedules",
    "carry_out": "jobs.execute",
    "change_schedule": "jobs.schedules",
    "check_parameters": "jobs.control",
    "cli_app": "jobs.cli",
    "companion": "jobs.jobs_companion",
    "describe_cron": "jobs.schedules_text",
    "described_schedule": "jobs.schedules",
    "demo_chapter": "jobs.demo",
    "dry_run_request": "jobs.control",
    "enable_schedule": "jobs.schedules",
    "fire_schedule": "jobs.schedules",
    "load_jobs_config": "jobs.jobs_config",
    "make_request": "jobs.control",
    "new_schedule": "jobs.schedules",
    "next_firings": "jobs.schedules_cron",
    "parse_cron": "jobs.schedules_cron",
    "redis_answers": "jobs.redis_server",
    "schedule_requests": "jobs.schedules",
    "try_schedule": "jobs.schedules",
    "workflow_named": "jobs.registry",
    "workflow_names": "jobs.registry",
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
    "ConfigError",
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
    "UsageError",
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
