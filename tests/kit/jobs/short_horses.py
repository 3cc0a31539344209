"""A module of `workflow_modules` whose workers begin each task with a new horse."""

from jobs.worker import worker

worker.HORSE_TASKS_MAX = 1
WORKFLOWS = ()
