"""The scheduler's pages: start, schedules, forms."""
