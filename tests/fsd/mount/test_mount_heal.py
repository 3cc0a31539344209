"""Asking the engine where an object lies: one that hangs keeps nobody waiting for long."""

from __future__ import annotations

import os
import socket
import threading

import pytest
import trio

from fsd.mount import heal
from fsd.mount.heal import ASKED_AT_ONCE_MAX, Healer

OBJECTS = 5 * ASKED_AT_ONCE_MAX


@pytest.mark.warns("the engine hangs")
def test_an_engine_that_hangs_is_asked_once_at_a_time_and_then_left_alone(
    short_tmp: str, monkeypatch
):
    """Of many readers each would else wait for its turn to wait."""
    monkeypatch.setattr(heal, "ASK_TIMEOUT_S", 0.5)
    path = os.path.join(short_tmp, "socket")
    asked: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                asked.append(server.accept()[0])
            except OSError:
                return

    async def read_all() -> list[bool]:
        healer, answers = Healer(path), list[bool]()

        async def read(number: int) -> None:
            answers.append(await healer.heal(number.to_bytes(32, "big")))

        async with trio.open_nursery() as nursery:
            for number in range(OBJECTS):
                nursery.start_soon(read, number)
        assert not await healer.heal(b"\1" * 32)
        return answers

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(OBJECTS)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            assert trio.run(read_all) == [False] * OBJECTS
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in asked:
                one.close()
    assert 1 <= len(asked) <= ASKED_AT_ONCE_MAX
