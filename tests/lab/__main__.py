"""Start one emulated disk and keep it until Ctrl-C: `python -m tests.lab /mnt/slow --size 4G`.

Point any software at the folder, as root. Meanwhile, from another terminal, what goes on with it:

    python -m tests.lab /mnt/slow --control hang

    hang | resume     die | revive     readonly on|off     slow FACTOR     stats
    eio BEGIN END [read|write|both]    eio-clear           flip OFFSET MASK
                           the drive's own faults (hdd_control.c), in bytes of the device
    power-cut [MODE [SEED]]
                           the disk is gone; of un-flushed writes MODE decides what is left: lost,
                           kept, prefix, some, torn (write_log.py; the last two are reorderings)
    vanish                 the cable is pulled: the disk is gone, and un-flushed writes with it
    return [with NAME] [at PATH]
                           it is there again, perhaps with old content, perhaps at another path
    keep NAME              remember the content of now, for `return with NAME`
    flushes                how many flushes there were; needs a start with --log
    replay FLUSH [MODE [SEED]]
                           go back to a flush; MODE (lost) decides of the writes up to the next one

The disk is called by its first path, wherever it returns. A log begins with the empty disk, and
ends when it is first gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys

from .drive import LabError, why_not
from .emulated_disk import EmulatedDisk
from .keeper import Keeper, tell
from .model import HddModel

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    arguments = parse(words)
    try:
        if arguments.control:
            print(json.dumps(tell(arguments.path, arguments.control), indent=1))
            return 0
        problem = why_not(arguments.filesystem)
        if problem:
            raise LabError(problem)
        return keep(arguments)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def parse(words: list[str] | None) -> argparse.Namespace:
    first, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", help="where the disk is (to be) mounted")
    parser.add_argument(
        "--control", nargs="+", metavar="WORD", help="tell the disk there something"
    )
    parser.add_argument("--size", type=size_bytes, default=4 << 30, help="such as 500M or 4G")
    parser.add_argument("--outer", type=float, default=160, help="MB/s at the outer edge")
    parser.add_argument("--inner", type=float, help="MB/s at the inner edge; default half of outer")
    parser.add_argument("--cache", type=size_bytes, default=64 << 20, help="volatile write cache")
    parser.add_argument("--filesystem", choices=("ext4", "xfs"), default="ext4")
    parser.add_argument("--work", help="folder for the image; needs room for what is written")
    parser.add_argument("--fast", action="store_true", help="without latency")
    parser.add_argument("--log", action="store_true", help="log every write, for replay")
    return parser.parse_args(words)


def size_bytes(text: str) -> int:
    return int(float(text[:-1]) * UNITS[text[-1]]) if text[-1:] in UNITS else int(text)


def keep(arguments: argparse.Namespace) -> int:
    inner = arguments.inner or arguments.outer / 2
    model = HddModel(
        arguments.size,
        rate_outer_bytes_per_s=arguments.outer * 1e6,
        rate_inner_bytes_per_s=inner * 1e6,
        cache_bytes=arguments.cache,
    )
    # Whoever ends us wants the disk unmounted; SIGTERM does so like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    disk = EmulatedDisk(
        os.path.abspath(arguments.path),
        model,
        filesystem=arguments.filesystem,
        fast=arguments.fast,
        keep_log=arguments.log,
        work=arguments.work,
    )
    try:
        with disk, Keeper(disk) as keeper:
            print(f"{disk.path} is an emulated disk until Ctrl-C", file=sys.stderr)
            keeper.serve()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
