"""The compiled form of test modules: it owns that each process of a run makes a share of it.

In a fresh copy pytest compiles 380 modules and rewrites what they assert, for 15 seconds of a
processor. It keeps the result for the next run, but the processes of one run begin all at once:
each would do all of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.assertion import rewrite


def make_share(config: pytest.Config, folder: Path, number: int, count: int) -> list[Path]:
    """Compile each COUNTth module from NUMBER on that pytest would; returns those it had not."""
    made: list[Path] = []
    # The processes go through them as they will be collected: nobody waits for a module that
    # another one has not reached, he makes it himself.
    for path in sorted(folder.rglob("test_*.py"))[number::count]:
        compiled = rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)
        if rewrite._read_pyc(path, compiled) is None and rewrite.try_makedirs(compiled.parent):
            source_hash, code = rewrite._rewrite_test(path, config)
            state = config.stash[rewrite.assertstate_key]
            rewrite._write_pyc(state, code, source_hash, compiled)
            made.append(path)
    return made
