"""Plain folders: what files say about themselves. This is the family's face."""

from adapters.sources.plain_folder.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
