"""The browser's side (S06): pages, dashboards, explorer and HTTP API over all other folders.

This is the folder's face. Names are loaded when they are first used, so that `--help` stays quick.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from gui.cli.app import app as cli_app
    from gui.cli.demo import chapter as demo_chapter
    from gui.services.gui_companion import api_companion, companion

__getattr__ = lazy_face(__name__, __file__)
