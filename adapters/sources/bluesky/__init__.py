"""Bluesky: its API, its repositories and its firehose."""

from adapters.sources.bluesky.records import ADAPTERS

__all__ = ["ADAPTERS"]
