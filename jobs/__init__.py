"""The scheduler (S02): workflows, workers, gates, schedules and alerts over RQ and PostgreSQL.

This is the folder's face. Names are loaded when they are first used.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from jobs.api.metrics import run_metrics
    from jobs.api.operations import jobs_operations
    from jobs.api.tasks import DOCUMENT_SIZE_BYTES_MAX as TASK_DOCUMENT_BYTES_MAX
    from jobs.api.tasks import Tasks, task_routes
    from jobs.cli.app import app as cli_app
    from jobs.cli.demo import chapter as demo_chapter
    from jobs.core.config import JobsConfig, load_jobs_config
    from jobs.core.errors import (
        CancelledError,
        LeaseLostError,
        PermanentError,
        RedisUnavailableError,
        SpaceError,
        WaitError,
    )
    from jobs.queues.redis_server import answers as redis_answers
    from jobs.runs.control import RunControl
    from jobs.runs.control import dry_run as dry_run_request
    from jobs.runs.registry import workflow_named, workflow_names
    from jobs.runs.session import Session as RunSession
    from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
    from jobs.scheduler.schedules import described as described_schedule
    from jobs.scheduler.schedules_cron import describe_cron, next_firings, parse_cron
    from jobs.services.jobs_companion import companion

__getattr__ = lazy_face(__name__, __file__)
