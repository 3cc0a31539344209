"""Health, losses, warnings, alerts and metrics."""
