"""Warnings that a test does not expect: what our code says at WARNING or above fails it.

Expected ones are those of a test that reads the log itself (`caplog`), of a fault (mark `fault`),
and those that the mark `warns` gives a reason for. Only what the tests' own process says is heard.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

MARK = "warns(reason): our code may warn in this test, because of that"
QUIET = (
    "adapters",
    "base",
    "datasets",
    "fsd/client",
    "fsd/compile",
    "fsd/disk_io",
    "fsd/disks",
    "fsd/export",
    "fsd/format",
    "fsd/ingest",
    "fsd/mount",
    "fsd/planning",
    "fsd/process",
    "fsd/replicas",
    "fsd/scrub",
    "fsd/store",
    "fsd/stores",
    "fsd/watch",
    "sql",
)
"""Rooms of tests in which this holds."""
OURS = ("adapters", "base", "datasets", "fsd", "gui", "jobs", "sql")
ANSWERS = "base.logging.requests"
"""What was answered over HTTP, which the test that asks sees itself."""
_FORM = logging.Formatter("%(name)s: %(levelname)s: %(message)s")


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in OURS and record.name != ANSWERS:
            self.lines.append(_FORM.format(record))


@pytest.fixture(autouse=True)
def no_unexpected_warnings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which our code has warned of what nobody expected."""
    node = request.node
    place = node.path.relative_to(request.config.rootpath / "tests")
    expected = node.get_closest_marker("warns") or node.get_closest_marker("fault")
    is_quiet = any(place.is_relative_to(room) for room in QUIET)
    if not is_quiet or expected or "caplog" in request.fixturenames:
        yield
        return
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    yield
    logging.getLogger().removeHandler(heard)
    assert not heard.lines, f"unexpected warnings: {heard.lines}"
