"""The scheduler's process: schedules, alerts, GPU machines, supervision."""
