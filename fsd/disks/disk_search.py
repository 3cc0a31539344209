"""Disks that come back after they were declared gone: it owns looking for them, nothing more.

Nothing is done with what is found: `warnings` says that it is there (see `gone_disks`).
"""

import threading

from base.errors import DrystoneError
from fsd.disks.disk import Disk
from fsd.disks.disks import DiskSet
from fsd.process.process import Child

PERIOD_S = 30.0
STOP_WAIT_S = 2.0
"""For a look that is on its way, which takes milliseconds where nothing hangs."""


class DiskSearch:
    """Looks for every disk that is gone, each in a process of its own: it may hang."""

    def __init__(self, disks: DiskSet) -> None:
        self._disks = disks
        self._asked: dict[str, Child] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk-search", daemon=True)

    def start(self) -> None:
        """Begin to look, at once and then ever again."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that is on its way ends with its process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT_S)

    def _run(self) -> None:
        while True:
            for disk in list(self._disks.disks.values()):
                if disk.state == "gone" and not disk.retired and not self._stop.is_set():
                    try:
                        self._look_for(disk)
                    except Exception as error:
                        # The search must outlive whatever one disk does; the error is shown.
                        self._disks.remember(f"{disk.name}: {type(error).__name__}: {error}")
            if self._stop.wait(PERIOD_S):
                return

    def _look_for(self, disk: Disk) -> None:
        # While a process hangs in the kernel, a new one would hang beside it.
        for child in (disk.burying, self._asked.get(disk.disk_id)):
            if child is not None and not child.wait_dead():
                return
        child = self._asked[disk.disk_id] = self._disks.new_child(disk.name)
        try:
            disk.seen_at = self._disks.find(disk, child)
        except (DrystoneError, OSError):
            disk.seen_at = ""
        finally:
            child.kill()
