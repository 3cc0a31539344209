"""The lane of a run that nobody gave a priority: it follows the size of what it concerns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from jobs_harness import Yard
from store_harness import Store

from jobs.runs.control import make_request

MB = 1_000_000
LINE = {"path": "a/1.json", "request": "1", "account": "ann", "source": "a"}


@pytest.mark.parametrize(
    ("workflow", "size", "asked", "priority"),
    [
        ("sized", 10 * MB - 1, None, 3),
        ("sized", 10 * MB, None, 5),
        ("sized", 100 * MB - 1, None, 5),
        ("sized", 100 * MB, None, 8),
        ("sized", 10 * MB, 2, 2),
        ("sized", -1, None, 5),
        ("sized_bulk", 10 * MB - 1, None, 3),
        ("sized_bulk", -1, None, 8),
        ("sized_bulk", 1, 2, 8),
        ("sized_bulk", 1, 9, 9),
    ],
)
def test_the_lane_follows_the_size_where_nobody_said_one(
    yards: Any, workflow: str, size: int, asked: int | None, priority: int
):
    yard: Yard = yards()
    parameters = {"folder": yard.root, "size": size}
    request = make_request(yard.config_path, workflow, parameters, priority=asked)
    assert request.priority == priority


def test_a_window_of_what_was_received_is_no_bulk_import(store: Callable[..., Store]):
    made = store(started=False)
    inbox = made.config.area_path("3a")
    for place, name in ((inbox, "received-1"), (inbox, "scrape"), (made.root, "received-1")):
        folder = os.path.join(place, name)
        os.makedirs(os.path.join(folder, "inner"))
        for path in ("one.txt", "inner/two.txt"):
            with open(os.path.join(folder, path), "wb") as file:
                file.truncate(6 * MB)
        parameters = {"folder": folder, "batch": "b", "source": "plain-folder"}
        request = make_request(made.config_path, "ua_1", parameters)
        assert request.priority == (5 if place == inbox and name == "received-1" else 8), folder
        for said, priority in ((9, 9), (2, 2), ("high", 3), ("normal", 5)):
            with open(os.path.join(folder, "_received.lines"), "w", encoding="utf-8") as file:
                json.dump({**LINE, "priority": said}, file)
            request = make_request(made.config_path, "ua_1", parameters)
            is_received = place == inbox and name == "received-1"
            assert request.priority == (priority if is_received else 8), folder
