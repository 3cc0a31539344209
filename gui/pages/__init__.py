"""The pages: one module each, functions that NiceGUI calls for every browser.

This is the folder's face.
"""

from gui.pages.registry import register_pages

__all__ = ["register_pages"]
