"""Whoever tells webhooks is killed again and again: all of it arrives, in order, under its ids."""

from __future__ import annotations

import json
import multiprocessing
import random
import time

import pytest
from webhook_place import HERE, Hook, Place

from jobs.core.alert_config import AlertsConfig
from jobs.notify import webhooks as telling
from jobs.notify.deliver import Deliverer
from sql import Database

ROUNDS = 4
EVENTS_PER_ROUND = 30


def tell_on(dsn: str) -> None:
    with Database.connect(dsn) as database:
        deliverer = Deliverer(AlertsConfig(), database, "00" * 16, HERE)
        while True:
            deliverer.tick()
            time.sleep(0.01)


@pytest.mark.fault
@pytest.mark.parametrize("batch_max", [1, 3])
def test_what_happens_arrives_in_order_whoever_is_killed(
    place: Place, hook: Hook, database_url: str, batch_max: int, monkeypatch: pytest.MonkeyPatch
):
    # Two may tell at a time that way; each tells in order, so what is told first still is.
    monkeypatch.setattr(telling, "LEASE_S", 0.2)
    place.add(hook.url, types=["processing.failed"], batch_max=batch_max)
    forks = multiprocessing.get_context("fork")
    chance = random.Random(batch_max)
    for begin in range(ROUNDS):
        tellers = [forks.Process(target=tell_on, args=[database_url]) for _ in "12"]
        for one in tellers:
            one.start()
        got = len(hook.got)
        for number in range(EVENTS_PER_ROUND):
            place.happen(f"run {begin * EVENTS_PER_ROUND + number}")
        while len(hook.got) < got + 2:
            time.sleep(0.001)
        time.sleep(chance.random() / 20)
        for one in tellers:
            one.kill()
        for one in tellers:
            one.join()
    subjects = [f"run {number}" for number in range(ROUNDS * EVENTS_PER_ROUND)]
    while place.found().waiting or not said(hook) >= set(subjects):
        place.deliver()
    first: dict[str, None] = {}
    ids: dict[str, bytes] = {}
    for headers, body in list(hook.got):
        first |= dict.fromkeys(told_by(body))
        assert ids.setdefault(headers["webhook-id"], body) == body
    assert list(first) == subjects
    assert {one.state for one in place.deliveries()} == {"done"}


def told_by(body: bytes) -> list[str]:
    document = json.loads(body)
    return [one["subject"] for one in document.get("events", [document])]


def said(hook: Hook) -> set[str]:
    return {subject for _, body in list(hook.got) for subject in told_by(body)}
