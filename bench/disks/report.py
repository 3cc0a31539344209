"""What `bench.disks` says: it owns the rows, their goals, and the forms of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEADS = ("work", "ratio", "goal", "met", "limited by", "remark")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `at_most` tells in which direction `goal` lies; no goal, no verdict.

    `limit` is `disk` when a disk was busy for 90 % of the measured time.
    """

    work: str
    ratio: float
    goal: float | None = None
    at_most: bool = False
    limit: str = ""
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADS."""
        sign = "<=" if self.at_most else ">="
        goal = "" if self.goal is None else f"{sign} {self.goal:g}"
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return self.work, f"{self.ratio:.3g}", goal, met, self.limit, self.remark


def table(rows: Sequence[Row]) -> str:
    """For a terminal: columns of equal width."""
    lines = [HEADS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(padded)


def markdown(rows: Sequence[Row]) -> str:
    """For docs/benchmarks.md."""

    def lines() -> Iterator[str]:
        yield "| " + " | ".join(HEADS) + " |"
        yield "| " + " | ".join("---" for _ in HEADS) + " |"
        for row in rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |"

    return "\n".join(lines())


def document(
    rows: Sequence[Row], about: dict[str, Any], raw: list[dict[str, Any]]
) -> dict[str, Any]:
    """For programs: `about` the run, the rows with their verdicts, and the measured spans."""
    return {"about": about, "rows": [{**asdict(row), "met": row.met} for row in rows], "raw": raw}
