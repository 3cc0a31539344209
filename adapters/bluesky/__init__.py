"""Bluesky: its API, its repositories and its firehose."""

from adapters.bluesky.records import ADAPTERS

__all__ = ["ADAPTERS"]
