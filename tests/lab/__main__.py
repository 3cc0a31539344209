"""Start one emulated disk and keep it until Ctrl-C: `python -m tests.lab /mnt/slow --size 4G`.

Point any software at the folder. Meanwhile, from another terminal:

    python -m tests.lab --control /mnt/slow hang
    python -m tests.lab --control /mnt/slow stats

The verbs are listed in hdd_control.c.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from .drive import LabError, ask, why_not
from .emulated_disk import EmulatedDisk
from .model import HddModel

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
NOTE_SUFFIX = ".emulated-disk"


def main() -> int:
    """Run the command line; returns its exit code."""
    arguments = parse()
    try:
        if arguments.control:
            return control(arguments.path, arguments.control)
        problem = why_not()
        if problem:
            raise LabError(problem)
        return keep(arguments)
    except (LabError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__.split("\n")[0])
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
    return parser.parse_args()


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
        work=arguments.work,
    )
    note = disk.path.rstrip("/") + NOTE_SUFFIX
    try:
        with disk:
            with open(note, "w", encoding="utf-8") as file:
                file.write(disk.control_path)
            print(f"{disk.path} is an emulated disk until Ctrl-C", file=sys.stderr)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        if os.path.exists(note):
            os.unlink(note)
    return 0


def control(path: str, words: list[str]) -> int:
    note = os.path.abspath(path).rstrip("/") + NOTE_SUFFIX
    if not os.path.exists(note):
        raise LabError(f"no emulated disk was started for {path}")
    with open(note, encoding="utf-8") as file:
        answer = ask(file.read(), *words)
    print(json.dumps(answer, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
