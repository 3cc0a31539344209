"""Webdataset shards and img2dataset folders. This is the family's face."""

from adapters.sources.webdataset.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
