"""The pages: a folder each, found by its `PAGE`.

This is the folder's face.
"""

from gui.pages.registry import register_pages

__all__ = ["register_pages"]
