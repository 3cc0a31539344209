"""Which workflows there are: it owns the list, in the order in which people see it.

Each is named by where it is declared and loaded when it is asked for, so that a worker of one kind
does not carry what the others need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from base.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig
    from jobs.runs.workflow import Workflow

_HOMES = {
    "ua_1": "jobs.runs.workflows.ingest_run",
    "ua_2": "jobs.runs.workflows.action_run",
    "ua_3": "jobs.runs.workflows.dataset_run",
    "inbox": "jobs.runs.workflows.inbox_run",
    "backup": "jobs.runs.workflows.backup_run",
    "scrub": "jobs.runs.workflows.scrub_run",
    "audit": "jobs.runs.workflows.audit_run",
    "thumbnails": "jobs.runs.workflows.thumbnail_run",
}
_added: dict[str, Workflow] = {}


def workflow_names() -> list[str]:
    """Return the names of all workflows."""
    return [*_HOMES, *(name for name in _added if name not in _HOMES)]


def workflow_named(name: str) -> Workflow:
    """Return a workflow; UsageError that lists the others when there is none."""
    if name in _added:
        return _added[name]
    if name not in _HOMES:
        raise UsageError(
            f"there is no workflow {name!a}; take one of {', '.join(workflow_names())}"
        )
    return import_module(_HOMES[name]).WORKFLOW


def load_extra_workflows(config: JobsConfig) -> None:
    """Make the workflows of the configured modules known to this process."""
    for name in config.workflow_modules:
        try:
            for workflow in import_module(name).WORKFLOWS:
                add_workflow(workflow)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"workflow_modules in [jobs]: {name}: {error}") from error


def add_workflow(workflow: Workflow) -> None:
    """Make a workflow known to this process, in place of one of the same name."""
    _added[workflow.name] = workflow
