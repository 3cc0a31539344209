"""Where child processes start: it owns importing the wanted module under its own name.

A module run by `python -m` is called `__main__`, and what it pickles could not be read elsewhere.
"""

import importlib
import sys

MODULES = ("fsd.disk_process", "fsd.packer", "fsd.compile_process")


def main() -> None:
    """Run the module that the first argument names."""
    name = sys.argv.pop(1)
    if name not in MODULES:
        raise SystemExit(f"{name} is no child process of Drystone")
    importlib.import_module(name).main()


if __name__ == "__main__":
    main()
