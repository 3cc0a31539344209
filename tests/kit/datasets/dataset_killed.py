"""A build or export that kills its own process; run by the tests, not by pytest.

    python dataset_killed.py CONFIG DEFINITION.json STEP

STEP is a phase that the build tells, or `export` for a kill while the store copies.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from datasets import build, export


def main(config_path: str, definition_path: str, step: str) -> None:
    def progress(phase: str, _rows: int) -> None:
        if phase == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with open(definition_path, encoding="ascii") as file:
        definition = json.load(file)
    if step == "export":
        export(config_path, definition["name"], progress=lambda *_: progress("export", 0))
    else:
        build(config_path, definition, progress)


if __name__ == "__main__":
    main(*sys.argv[1:])
