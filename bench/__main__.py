"""All figures of the store, one bench after the other: `python -m bench` as root, two hours.

    python -m bench [--only disks foreground ...] [--list]

Owns the list and the verdict; each bench says what it measures (`python -m bench.disks --help`).
They never run beside each other. Exits with 1 when one failed or missed a goal.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

BENCHES = ("drives", "disks", "foreground", "compaction", "planner", "store", "index", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES))
    parser.add_argument("--list", action="store_true", help="name them and end")
    given = parser.parse_args()
    if given.list:
        print("\n".join(BENCHES))
        return
    failed: list[str] = []
    for name in given.only:
        print(f"== bench.{name}", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", f"bench.{name}"]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"== bench.{name}: {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        raise SystemExit(f"failed, or missed a goal: {', '.join(failed)}")


if __name__ == "__main__":
    main()
