"""What the emulated drives promise, measured by fio: `python -m bench.drives` as root.

    python -m bench.drives [--drives 1,4] [--time-scale 3] [--seconds 6] [--reads 200]
                           [--folder /var/tmp] [--json FILE]

Owns the comparison of fio's rates, on the block device and past every cache, with those of the
model: sequential transfers at both edges, scattered reads of 4 and 16 KiB. Nothing that a drive
says of itself is in a ratio: the model's side is tests/lab/model.py, and of scattered reads the
places that fio chose and logged. Exits with 1 when a ratio misses the goal.

The drives are those of `bench.disks`, one after the other, slowed as a whole by `--time-scale`
as there. A machine that others use answers late: the table says how late the answers were.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.disks.lab import DISKS, GB
from tests.lab import Drive, HddModel, LabError, why_not

GOAL = (0.95, 1.05)
MIB = 1 << 20
SECTOR_BYTES = 4096
STREAM_DEPTH = 4
"""So many requests wait at the drive, as when somebody reads ahead: no time is lost between two."""
SCATTERED_BYTES = (4096, 16384)
FIO_TIMEOUT_S = 600.0
HEADS = ("drive", "work", "model", "fio", "", "fio / model", "met", "late")


@dataclass(frozen=True, slots=True)
class Row:
    """Two rates of one work in `unit`. `late_s` is how late the drive's answers were on average."""

    drive: str
    work: str
    model: float
    fio: float
    unit: str
    late_s: float

    @property
    def ratio(self) -> float:
        """What fio found, of what the model promises."""
        return self.fio / self.model

    @property
    def met(self) -> bool:
        """Whether that is within the goal."""
        return GOAL[0] <= self.ratio <= GOAL[1]

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADS."""
        rates = f"{self.model:.2f}", f"{self.fio:.2f}", self.unit
        verdict = f"{self.ratio:.3f}", "yes" if self.met else "NO"
        return self.drive, self.work, *rates, *verdict, f"{self.late_s * 1e3:.2f} ms"


class DriveUnderTest:
    """A started drive and the folder beside it where fio works."""

    def __init__(self, drive: Drive, folder: str, name: str) -> None:
        """Nothing is measured yet: the head is where it starts."""
        self.drive = drive
        self.folder = folder
        self.name = name
        self.head = 0

    def rows(self, seconds: float, reads: int) -> Generator[Row]:
        """Measure everything: the works so long by the model, so many scattered reads of a size."""
        for writing in (False, True):
            for edge in ("outer", "inner"):
                yield self.stream(edge, writing, seconds)
        for length in SCATTERED_BYTES:
            yield self.scattered(length, reads)

    def stream(self, edge: str, writing: bool, seconds: float) -> Row:
        """Transfer a range at an edge."""
        model = self.drive.model
        rate = model.rate_outer_bytes_per_s if edge == "outer" else model.rate_inner_bytes_per_s
        length = max(MIB, int(rate * seconds) // MIB * MIB)
        offset = (
            0 if edge == "outer" else (model.size_bytes - length) // SECTOR_BYTES * SECTOR_BYTES
        )
        work = "write" if writing else "read"
        depth = ("--ioengine=libaio", f"--iodepth={STREAM_DEPTH}", "--bs=1M")
        found, late_s = self._fio(work, *depth, f"--offset={offset}", f"--size={length}")
        assert found["io_bytes"] == length, found
        way_s, _ = model.positioning_s(self.head, offset)
        self.head = offset + length
        promised = length / (way_s + model.sequential_s(offset, length))
        fio = length / (found["runtime"] / 1e3)
        name = f"sequential {work}, {edge} edge"
        return Row(self.name, name, promised / 1e6, fio / 1e6, "MB/s", late_s)

    def scattered(self, length: int, reads: int) -> Row:
        """Read at places that fio chooses, one after the other."""
        log = os.path.join(self.folder, f"places-{length}")
        found, late_s = self._fio(
            "randread", "--ioengine=psync", f"--bs={length}", f"--io_size={length * reads}",
            f"--size={self.drive.model.size_bytes}", f"--write_iolog={log}",
        )  # fmt: skip
        places = read_places(log)
        assert len(places) == found["total_ios"] == reads, (len(places), found)
        promised_s, _ = self.drive.model.cost(places, self.head)
        self.head = sum(places[-1])
        name = f"scattered reads of {length // 1024} KiB"
        rates = reads / promised_s, reads / (found["runtime"] / 1e3)
        return Row(self.name, name, *rates, "reads/s", late_s)

    def _fio(self, work: str, *options: str) -> tuple[dict[str, Any], float]:
        """Run one job; returns what fio says of it, and how late the drive's answers were."""
        command = [
            "fio", "--name=job", f"--filename={self.drive.device}", f"--rw={work}", "--direct=1",
            "--output-format=json", *options,
        ]  # fmt: skip
        self.drive.control("reset-stats")
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=FIO_TIMEOUT_S
        )
        if done.returncode:
            raise LabError(f"fio ended with {done.returncode}: {done.stderr.strip()}")
        said = self.drive.control("stats")
        job = json.loads(done.stdout)["jobs"][0]
        answers = max(1, said["reads"] + said["writes"])
        return job["write" if work == "write" else "read"], said["late_s"] / answers


def read_places(path: str) -> list[tuple[int, int]]:
    """Return the (offset, length) of every request in a log of fio, in order."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    # Before the action there is a time in newer versions of the log.
    return [(int(line[-2]), int(line[-1])) for line in lines if line[-3:-2] == ["read"]]


def measure(given: argparse.Namespace) -> list[Row]:
    """Measure the chosen drives, each row told as soon as it is known."""
    rows: list[Row] = []
    for number in given.drives:
        size, rate = DISKS[number - 1]
        model = HddModel(
            int(size * given.size_scale * GB) // SECTOR_BYTES * SECTOR_BYTES,
            rate_outer_bytes_per_s=rate,
            rate_inner_bytes_per_s=rate / 2,
        ).slowed(given.time_scale)
        with tempfile.TemporaryDirectory(prefix="ds-fio-", dir=given.folder) as folder:
            drive = Drive(folder, os.path.join(folder, "image"), model)
            try:
                name = f"{size} GB, {rate / 1e6:g} MB/s"
                for row in DriveUnderTest(drive, folder, name).rows(given.seconds, given.reads):
                    print("  ".join(row.cells()), file=sys.stderr)
                    rows.append(row)
            finally:
                drive.close()
    return rows


def table(rows: Sequence[Row]) -> str:
    """For a terminal: columns of equal width."""
    lines = [HEADS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (map(str.ljust, line, widths) for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def exit_code(rows: Sequence[Row]) -> int:
    """0 when every ratio is within the goal, else 1."""
    return 0 if all(row.met for row in rows) else 1


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--drives", type=_numbers, default=[1, 4], help="of bench.disks: 1 to 4")
    parser.add_argument("--time-scale", type=float, default=3.0)
    parser.add_argument("--size-scale", type=float, default=1.0, help="of the drives")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a sequential transfer")
    parser.add_argument("--reads", type=int, default=200, help="scattered reads of each size")
    parser.add_argument("--folder", default="/var/tmp", help="where the images lie, sparse")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    numbers = [int(word) for word in text.split(",")]
    if wrong := [number for number in numbers if not 1 <= number <= len(DISKS)]:
        raise argparse.ArgumentTypeError(f"{wrong[0]} is none of 1 to {len(DISKS)}")
    return numbers


def main() -> None:
    """Run the command line."""
    given = parse()
    if shutil.which("fio") is None:
        raise SystemExit("bench.drives needs the program fio: apt-get install fio")
    if problem := why_not():
        raise SystemExit(problem)
    # Whoever ends us wants the drives gone; SIGTERM does so like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows = measure(given)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except LabError as error:
        raise SystemExit(f"bench.drives: {error}") from error
    print(table(rows))
    print(f"goal: fio / model {GOAL[0]:g} to {GOAL[1]:g}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump([{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows], file)
    raise SystemExit(exit_code(rows))


if __name__ == "__main__":
    main()
