"""What is known of the parts: readings one after the other, and nobody who waits for a hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import gui_harness
import pytest
from gui_harness import Scene

from gui.reading.poller import Part, Poller

pytestmark = pytest.mark.asyncio
SHORT_S = 0.2


class Held:
    """A reading that takes what it finds at its beginning, and ends when it may."""

    def __init__(self) -> None:
        self.value, self.begun, self.at_once, self.at_once_max = 0, 0, 0, 0
        self._may_end = threading.Semaphore(0)
        self._lock = threading.Lock()

    def read(self) -> int:
        with self._lock:
            found = self.value
            self.begun += 1
            self.at_once += 1
            self.at_once_max = max(self.at_once, self.at_once_max)
        self._may_end.acquire()
        with self._lock:
            self.at_once -= 1
        return found

    def end(self, count: int = 1) -> None:
        self._may_end.release(count)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.end(1000)


async def soon(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_refresh_knows_what_was_done_before_it(held: Held):
    """A reading that has begun may have looked already, so the next one counts: for all who ask."""
    poller = Poller((Part("one", "One", held.read),), 1000.0)
    first = asyncio.create_task(poller.refresh())
    await soon(lambda: held.begun == 1)
    held.value = 1
    later = [asyncio.create_task(poller.refresh()) for _ in range(3)]
    await asyncio.sleep(0)
    held.end()
    await first
    await soon(lambda: held.begun == 2)
    assert poller.value("one") == 0 and not any(task.done() for task in later)
    held.end()
    await asyncio.gather(*later)
    assert poller.value("one") == 1
    assert (held.begun, held.at_once_max) == (2, 1)
    poller.close()


async def test_a_part_that_hangs_holds_up_nobody(held: Held):
    values = iter(range(1000))
    parts = (Part("hangs", "Hangs", held.read), Part("one", "One", lambda: next(values)))
    poller = Poller(parts, 1000.0)
    poller.start()
    for number in range(5):
        await poller.refresh(SHORT_S)
        assert poller.value("one") >= number
    for _ in range(50):
        poller.hurry()
    last = poller.value("one")
    await soon(lambda: poller.value("one") > last)
    assert held.begun == 1, "it is read twice at once, or waits in line for each who asks"
    held.end()
    await soon(lambda: held.begun == 2)
    held.end(10)
    await poller.refresh()
    assert held.begun <= 4 and held.at_once_max == 1
    poller.close()


async def test_who_hurries_is_told_of_the_change(held: Held):
    poller = Poller((Part("one", "One", held.read),), 1000.0)
    poller.start()
    held.end()
    await soon(lambda: poller.reading("one").read_time)
    told: list[int] = []
    poller.watch("page", lambda: told.append(poller.value("one")))
    held.value = 7
    poller.hurry()
    held.end()
    await soon(lambda: told and told[-1] == 7)
    poller.close()


async def test_closing_wakes_whoever_waits(held: Held):
    """Of the reading that has begun and of the next one; nobody is cancelled."""
    poller = Poller((Part("one", "One", held.read),), 1000.0)
    poller.start()
    await soon(lambda: held.begun == 1)
    waiting = [asyncio.create_task(poller.refresh(1000.0))]
    await asyncio.sleep(0.05)
    waiting.append(asyncio.create_task(poller.refresh(1000.0)))
    await asyncio.sleep(0.05)
    poller.close()
    async with asyncio.timeout(30):
        assert await asyncio.gather(*waiting, return_exceptions=True) == [None, None]
        await poller.refresh(1000.0)
    poller.hurry()
    held.end(10)
    await asyncio.sleep(0.05)
    assert held.begun == 1, "it is read after it was closed"


async def test_closing_wakes_whoever_waits_for_the_reading_that_runs(held: Held):
    poller = Poller((Part("one", "One", held.read),), 1000.0)
    waiting = asyncio.create_task(poller.refresh(1000.0))
    await soon(lambda: held.begun == 1)
    poller.close()
    async with asyncio.timeout(30):
        assert await asyncio.gather(waiting, return_exceptions=True) == [None]


async def test_an_act_waits_for_no_reading(scene: Scene, held: Held):
    """Whatever hangs: of the store, or of another run that somebody looks at."""
    from gui.widgets.acts import act
    from gui.widgets.view import follow

    async with gui_harness.simulated(scene, "oto") as (user, desk):
        desk.poller.close()
        desk.poller = Poller((Part("hangs", "Hangs", held.read),), 1000.0)
        await user.open("/account")
        held.end()
        with user:
            await follow(desk, "hangs", held.read)
            begun = held.begun
            async with asyncio.timeout(30):
                assert await act(desk, "operator", "It is done", lambda: 7) == 7
        await user.should_see("It is done")
        await soon(lambda: held.begun >= begun + 1)


async def test_a_page_whose_reading_is_ended_before_its_first_says_so(scene: Scene, held: Held):
    from base.errors import UsageError
    from gui.widgets.view import follow

    async with gui_harness.simulated(scene, "oto") as (user, desk):
        await user.open("/account")
        with user:

            async def end() -> None:
                await soon(lambda: held.begun)
                desk.followed.close()

            ending = asyncio.create_task(end())
            with pytest.raises(UsageError, match="is not known yet"):
                async with asyncio.timeout(30):
                    await follow(desk, "hangs", held.read)
            await ending
