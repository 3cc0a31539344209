"""Receivers that are never silent for long, and never come to an end."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from base.network.deadline import Deadline
from jobs.core.alert_config import Channel
from jobs.notify.send import test_document as a_document
from jobs.notify.send import try_channel

TICK_S = 0.02


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def drip(listener: socket.socket, begin: bytes) -> None:
    """Begin an answer and send a byte of it now and then for as long as somebody listens."""
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(begin)
            while True:
                connection.sendall(b"x")
                threading.Event().wait(TICK_S)


@pytest.mark.parametrize(
    ("kind", "begin"), [("webhook", b"HTTP/1.1 "), ("mail", b"220-wait\r\n220-")]
)
def test_a_receiver_that_drips_ends_with_its_try(
    listener: socket.socket, monkeypatch, kind: str, begin: bytes
):
    monkeypatch.setattr("base.network.notify.TRY_S", 0.3)
    port = listener.getsockname()[1]
    fields: dict[str, dict[str, Any]] = {
        "webhook": {"url": f"http://127.0.0.1:{port}/"},
        "mail": {"host": "127.0.0.1", "port": port, "sender": "a@example.org", "to": ["b@c.org"]},
    }
    channel = Channel.model_validate({"name": "slow", "kind": kind, **fields[kind]})
    dripping = threading.Thread(target=drip, args=(listener, begin))
    dripping.start()
    said = try_channel(channel, a_document())
    dripping.join()
    assert said.endswith("it took longer than 0.3 s")


def test_all_addresses_share_one_deadline(listener: socket.socket):
    with pytest.raises(TimeoutError, match="longer than 0 s"), Deadline(0.0) as deadline:
        threading.Event().wait(TICK_S)
        deadline.connect("127.0.0.1", listener.getsockname()[1], 10.0)


def test_what_ends_in_time_is_left_alone(listener: socket.socket):
    with Deadline(60.0) as deadline:
        connected = deadline.connect("127.0.0.1", listener.getsockname()[1], 10.0)
    # The watch is over; the connection is its owner's.
    with connected, listener.accept()[0] as other:
        other.sendall(b"here")
        assert connected.recv(4) == b"here"


def hear_nothing(port: int) -> None:
    """Begin a try of a minute, and in it one that ends soon, of who says nothing."""
    with (
        Deadline(60.0) as long,
        long.connect("127.0.0.1", port, 60.0),
        pytest.raises(TimeoutError, match=r"longer than 0\.2 s"),
        Deadline(0.2) as short,
        short.connect("127.0.0.1", port, 60.0) as connected,
    ):
        if not connected.recv(1):
            raise OSError("nothing was said")


def test_a_try_that_begins_later_may_end_earlier_and_in_a_fork_too(listener: socket.socket):
    port = listener.getsockname()[1]
    hear_nothing(port)
    fork = multiprocessing.get_context("fork").Process(target=hear_nothing, args=[port])
    fork.start()
    fork.join(60)
    assert fork.exitcode == 0
