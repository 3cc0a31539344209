"""Figures for Prometheus in its text format, by prometheus_client's families without its registry.

Nothing is counted in a process: whoever is asked makes families of what the store or the database
knows, so figures survive a restart and forks need no shared files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Metric", "counters", "gauge", "gauges", "histograms", "render"]


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge of one value."""
    return GaugeMetricFamily(f"drystone_{name}", text, value=value)


def gauges(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Return a gauge without a sample yet; `add_metric` takes the values of the labels."""
    return GaugeMetricFamily(f"drystone_{name}", text, labels=labels)


def counters(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """Return a counter without a sample yet; its name ends in `_total`."""
    return CounterMetricFamily(f"drystone_{name}", text, labels=labels)


def histograms(name: str, text: str, *labels: str) -> HistogramMetricFamily:
    """Return a histogram without a sample yet; a sample has buckets by their bounds, and a sum."""
    return HistogramMetricFamily(f"drystone_{name}", text, labels=labels)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        # One without a sample would say that it is there and has no value.
        return (family for family in self._families if family.samples)


def render(families: Iterable[Metric]) -> bytes:
    """Return the exposition; families without a sample are left out."""
    return generate_latest(_Families(families))
