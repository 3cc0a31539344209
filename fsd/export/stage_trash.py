"""What was released of an area and still lies there: it owns removing it, and who waits for that.

A released folder is renamed to `.tmp/released-<random>` and is out of sight at once; its bytes go
in the background, and count as used until they are gone. Whatever a crash leaves there is known by
its name and removed after the next start. It never decides what is released.

The thread works half of the time, so that many small files do not keep the SSD from those who read
and write; when somebody waits for the room it works without a rest. (A lower priority would not do:
an unlink is written by the file system's own thread, or asks the device at once for a discard.)
"""

import contextlib
import os
import re
import stat
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RELEASED_PREFIX = "released-"
_RELEASED = re.compile(re.escape(RELEASED_PREFIX) + "[0-9a-f]{32}")
ROOM_WAIT_S_MAX = 45.0
"""So long may who is refused wait for released bytes to go; less than a request may take."""
WORK_S = 0.05
"""So long the thread works between two rests of as much."""

Gone = Callable[[], None]


def _nothing() -> None:
    """Do nothing."""


@dataclass(slots=True)
class Load:
    """What one release moved away: `there` are the folders that it found.

    `finished` when no byte is left that can be removed, `problems` says what cannot be.
    """

    there: list[Path] = field(default_factory=list[Path])
    places: list[str] = field(default_factory=list[str])
    gone: Gone = _nothing
    problems: list[str] = field(default_factory=list[str])
    finished: threading.Event = field(default_factory=threading.Event)


class Trash:
    """The released folders in one `.tmp`. Thread-safe; its thread lives while there is work.

    `on_problem` is told what cannot be removed; that stays, and is tried again with the next load.
    `gone` is told when the leftovers of a crash are gone, which begins here.
    """

    def __init__(
        self, folder: Path, on_problem: Callable[[str], None], gone: Gone = _nothing
    ) -> None:
        self._folder = folder
        self._on_problem = on_problem
        # Guards all below, never held while something is removed. Innermost.
        self._lock = threading.Lock()
        self._loads: deque[Load] = deque()
        self._stuck: list[str] = []
        self._told: set[str] = set()
        self._hurry = threading.Event()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        folder.mkdir(exist_ok=True)
        left = [entry.path for entry in os.scandir(folder) if _is_released(entry.name)]
        if left:
            self._add(Load(places=left, gone=gone))

    def take(self, places: Sequence[Path], gone: Gone = _nothing, *, always: bool = False) -> Load:
        """Move folders out of sight, each in one step.

        `gone` is told when all bytes of them are gone; when none was there only if `always`. A
        crash in between leaves some in sight: the release is then asked for again.
        """
        load = Load(gone=gone)
        for place in places:
            hidden = self._hidden_name()
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, hidden)
                load.there.append(place)
                load.places.append(hidden)
        if load.there or always:
            self._add(load)
        else:
            load.finished.set()
        return load

    def wait(self, timeout_s: float = ROOM_WAIT_S_MAX) -> bool:
        """Wait until all that was taken so far is gone; False when there was nothing to wait for.

        Also True when it is not gone after `timeout_s`: the caller looks for itself.
        """
        with self._lock:
            if not self._loads:
                return False
            last = self._loads[-1]
            self._waiting += 1
            self._hurry.set()
        last.finished.wait(timeout_s)
        with self._lock:
            self._waiting -= 1
            if not self._waiting:
                self._hurry.clear()
        return True

    def _hidden_name(self) -> str:
        return os.path.join(self._folder, RELEASED_PREFIX + uuid.uuid4().hex)

    def _add(self, load: Load) -> None:
        with self._lock:
            load.places += self._stuck
            self._stuck = []
            self._loads.append(load)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="trash", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._loads:
                    self._thread = None
                    return
                # It stays in the queue until it is gone: who asks for room meanwhile waits for it.
                load = self._loads[0]
            stuck = self._remove_all(load)
            try:
                load.gone()
            except Exception as error:
                self._on_problem(f"after a release: {error}")
            with self._lock:
                self._loads.popleft()
                self._stuck += stuck
            load.finished.set()

    def _remove_all(self, load: Load) -> list[str]:
        """Remove folders with all in them; returns what could not be."""
        stuck: list[str] = []
        places = load.places
        begun = time.monotonic()
        for place in places:  # It grows while it is walked: sub-folders are put beside.
            try:
                for _ in self._remove(place, places):
                    spent_s = time.monotonic() - begun
                    if spent_s > WORK_S:
                        self._hurry.wait(spent_s)
                        begun = time.monotonic()
            except FileNotFoundError:
                continue
            except OSError as error:
                stuck.append(place)
                load.problems.append(self._tell(place, error))
        return stuck

    def _remove(self, place: str, places: list[str]) -> Iterator[None]:
        """Unlink the files of a folder, move its folders beside it, and remove it.

        So no depth is too deep, and a crash leaves only folders that are known by their names.
        Yields after each entry.
        """
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            # What a program put in the place of its folder; where a link leads is not ours.
            os.unlink(place)
            return
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = True
            while found:  # A listing may skip entries while others are taken out of the folder.
                found = False
                with os.scandir(folder) as entries:
                    for entry in entries:
                        found = True
                        if entry.is_dir(follow_symlinks=False):
                            places.append(self._hidden_name())
                            os.rename(entry.name, places[-1], src_dir_fd=folder)
                        else:
                            os.unlink(entry.name, dir_fd=folder)
                        yield
        finally:
            os.close(folder)
        os.rmdir(place)

    def _tell(self, place: str, error: OSError) -> str:
        problem = f"{place} was released and cannot be removed: {error}"
        if place not in self._told:
            self._told.add(place)
            self._on_problem(problem)
        return problem


def _is_released(name: str) -> bool:
    # The whole name: a copy that is being made may have an id that begins so, and is no trash. The
    # name of its folder has a comma or a tilde in it (see `seal`).
    return _RELEASED.fullmatch(name) is not None
