"""Prometheus' text format 0.0.4: it owns the bytes of an exposition, as pure functions."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(slots=True)
class Metric:
    """One metric with its samples. A counter's name ends in `_total`, a unit comes before that."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: list[tuple[dict[str, str], float]] = field(
        default_factory=list[tuple[dict[str, str], float]]
    )

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append((labels, value))


def render(metrics: Sequence[Metric]) -> str:
    """Return the exposition; metrics without a sample are left out."""
    return "".join(_lines(metric) for metric in metrics if metric.samples)


def _lines(metric: Metric) -> str:
    if not METRIC_NAME.fullmatch(metric.name):
        raise ValueError(f"{metric.name!r} is no name of a metric")
    help_text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    lines = [f"# HELP {metric.name} {help_text}", f"# TYPE {metric.name} {metric.kind}"]
    lines += [f"{metric.name}{_labels(labels)} {_number(v)}" for labels, v in metric.samples]
    return "".join(line + "\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(_pairs(labels.items())) + "}"


def _pairs(labels: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in labels:
        if not LABEL_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a label")
        # Names of disks and paths come from people; a lone surrogate is not UTF-8.
        text = value.encode("utf-8", "backslashreplace").decode("utf-8")
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield f'{name}="{escaped}"'


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
