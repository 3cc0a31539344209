"""The process that `drystone up` starts for the public port: it owns its edge, and nothing else."""

from __future__ import annotations

import sys

from base.errors import DrystoneError


def main() -> None:
    """Serve the store whose drystone.toml is the argument."""
    from gui.core.config import load_gui_config
    from gui.door.door import serve

    try:
        serve(load_gui_config(sys.argv[1]))
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
