"""Runs, tasks, schedules and events."""
