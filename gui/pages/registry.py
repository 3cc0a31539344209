"""Which pages there are: each module in a folder of a page that has a `PAGE` is one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from gui.reading.desk import Desk
from gui.widgets.frame import Page, navigate_to
from gui.widgets.view import add_not_found, add_page

PAGES = "gui.pages"


def found_pages() -> list[Page]:
    """Return the pages that lie in the folders beside this module."""
    found: list[Page] = []
    for folder in pkgutil.iter_modules(sys.modules[PAGES].__path__, f"{PAGES}."):
        if folder.ispkg:
            package = importlib.import_module(folder.name)
            for module in pkgutil.iter_modules(package.__path__, f"{folder.name}."):
                page = getattr(importlib.import_module(module.name), "PAGE", None)
                if isinstance(page, Page):
                    found.append(page)
    return found


def register_pages(desk: Desk) -> None:
    """Make all pages known to NiceGUI and to the navigation."""
    pages = found_pages()
    for page in pages:
        add_page(desk, page)
    add_not_found(desk)
    navigate_to(pages)
