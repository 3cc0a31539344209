"""Runs, tasks and schedules."""
