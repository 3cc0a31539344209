"""Runners: they start the program of an action, watch it, and say how it ended.

This is the sub-folder's face. Names are loaded when they are first used.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from jobs.runners.outcome import RunOutcome, RunProgress
    from jobs.runners.program import missing_for, run_program
    from jobs.runners.settings import load_runner_settings

__getattr__ = lazy_face(__name__, __file__)
