"""The scheduler (S02): workflows, workers, gates, schedules and alerts over RQ and PostgreSQL.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.api.operations import jobs_operations
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
    from jobs.runs.session import Session as RunSession
    from jobs.runs.task_state import TaskState
    from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
    from jobs.scheduler.schedules import described as described_schedule
    from jobs.scheduler.schedules_cron import describe_cron, next_firings, parse_cron
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
    "RunSession": "jobs.runs.session",
    "SpaceError": "jobs.core.errors",
    "Step": "jobs.runs.workflow",
    "StepResult": "jobs.runs.workflow",
    "TaskContext": "jobs.runs.workflow",
    "TaskState": "jobs.runs.task_state",
    "WaitError": "jobs.core.errors",
    "Workflow": "jobs.runs.workflow",
    "Workplace": "jobs.execute",
    "add_workflow": "jobs.runs.registry",
    "carry_out": "jobs.execute",
    "check_parameters": "jobs.runs.control",
    "cli_app": "jobs.cli.app",
    "companion": "jobs.services.jobs_companion",
    "describe_cron": "jobs.scheduler.schedules_cron",
    "described_schedule": "jobs.scheduler.schedules",
    "demo_chapter": "jobs.cli.demo",
    "dry_run_request": "jobs.runs.control",
    "jobs_operations": "jobs.api.operations",
    "load_jobs_config": "jobs.core.config",
    "make_request": "jobs.runs.control",
    "next_firings": "jobs.scheduler.schedules_cron",
    "parse_cron": "jobs.scheduler.schedules_cron",
    "redis_answers": "jobs.queues.redis_server",
    "workflow_named": "jobs.runs.registry",
    "workflow_names": "jobs.runs.registry",
}

_NAMES_THERE = {
    "RunSession": "Session",
    "cli_app": "app",
    "described_schedule": "described",
    "demo_chapter": "chapter",
    "dry_run_request": "dry_run",
    "redis_answers": "answers",
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
    "RunSession",
    "SpaceError",
    "Step",
    "StepResult",
    "TaskContext",
    "TaskState",
    "WaitError",
    "Workflow",
    "Workplace",
    "add_workflow",
    "carry_out",
    "check_parameters",
    "cli_app",
    "companion",
    "demo_chapter",
    "describe_cron",
    "described_schedule",
    "dry_run_request",
    "jobs_operations",
    "load_jobs_config",
    "make_request",
    "next_firings",
    "parse_cron",
    "redis_answers",
    "workflow_named",
    "workflow_names",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module jobs has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
