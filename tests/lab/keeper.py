"""One emulated disk that a person controls from another terminal: its socket and its verbs.

Owns what is known of a started disk beyond its drive: whether it is there, and what was kept of it.
What is no verb here goes to the drive (the verbs of hdd_control.c), also while a verb here waits
for a disk that hangs.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import shlex
import socketserver
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from .drive import LabError, ask
from .emulated_disk import EmulatedDisk
from .write_log import MODES, flush_times

ANSWER_TIMEOUT_S = 600.0
"""So long a person waits for a verb that copies images."""
NOTE_SUFFIX = ".emulated-disk"
USAGES = {
    "vanish": "vanish",
    "power-cut": "power-cut [MODE [SEED]]",
    "keep": "keep NAME",
    "return": "return [with NAME] [at PATH]",
    "flushes": "flushes",
    "replay": "replay FLUSH [MODE [SEED]]",
}
Answer = dict[str, Any]


class Keeper:
    """A control socket for a started disk. Use it as a context manager, within the disk's."""

    def __init__(self, disk: EmulatedDisk) -> None:
        """Listen beside the disk's images. The disk is called by the path where it was started."""
        self._disk = disk
        self._verbs: dict[str, Callable[..., Answer]] = {
            "vanish": self._vanish,
            "power-cut": self._power_cut,
            "keep": self._keep,
            "return": self._return,
            "flushes": self._flushes,
            "replay": self._replay,
        }
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()
        socket = os.path.join(disk.work_folder, "keeper")
        self._server = _Server(socket, _Connection)
        self._server.keeper = self
        self._note = note_of(disk.path)
        with open(self._note, "w", encoding="utf-8") as file:
            file.write(socket)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()
        os.unlink(self._note)
        # A verb that waits for a hanging disk gets an error, and none begins from here on.
        if self._disk.drive is not None:
            self._disk.drive.kill()
        self._lock.acquire()

    def serve(self) -> None:
        """Obey until this thread is interrupted."""
        self._server.serve_forever()

    def obey(self, words: list[str]) -> Answer:
        """Do what the words say; LabError when that cannot be."""
        verb = words[0] if words else ""
        if verb not in self._verbs:
            return self._disk.control(*words)
        do = self._verbs[verb]
        try:
            inspect.signature(do).bind(*words[1:])
        except TypeError as error:
            raise LabError(f"say: {USAGES[verb]}") from error
        with self._lock:
            return do(*words[1:])

    def _vanish(self) -> Answer:
        self._disk.vanish()
        return {}

    def _power_cut(self, mode: str = "some", seed: str = "") -> Answer:
        fate = chosen(mode, seed)
        image = self._disk.crash(**fate)
        self._disk.vanish()
        former, self._disk.image = self._disk.image, image
        os.unlink(former)
        return {**fate, "next": "return"}

    def _keep(self, name: str) -> Answer:
        self._kept[name] = self._disk.snapshot()
        return {}

    def _return(self, *words: str) -> Answer:
        given = dict(zip(words[::2], words[1::2], strict=False))
        if len(words) % 2 or given.keys() - {"with", "at"}:
            raise LabError(f"say: {USAGES['return']}")
        name = given.get("with")
        if name is not None and name not in self._kept:
            raise LabError(f"nothing was kept as {name}")
        image = self._disk.image if name is None else self._disk.copy_of(self._kept[name])
        self._come_back(image, given.get("at"))
        return {"path": self._disk.path}

    def _come_back(self, image: str, path: str | None = None) -> None:
        """Start with an image; the one before is gone when it is another."""
        former = self._disk.image
        try:
            self._disk.remount_from(image, path)
        finally:
            if former != image:
                os.unlink(former)

    def _flushes(self) -> Answer:
        return {"flushes": len(flush_times(self._log()))}

    def _replay(self, flush: str, mode: str = "lost", seed: str = "") -> Answer:
        fate = chosen(mode, seed)
        last = self._flushes()["flushes"]
        if number(flush) > last:
            raise LabError(f"there were {last} flushes")
        self._disk.vanish()
        self._come_back(self._disk.replayed(number(flush), **fate))
        return {"flush": number(flush), **fate, "path": self._disk.path}

    def _log(self) -> str:
        if not self._disk.log:
            raise LabError("the disk was started without --log")
        return self._disk.log


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    keeper: Keeper


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            try:
                answer = self.server.keeper.obey(shlex.split(line.decode()))
            except (LabError, OSError, ValueError, subprocess.SubprocessError) as error:
                answer = {"error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def tell(path: str, words: list[str]) -> Answer:
    """Tell the disk that was started at a path something, from another process."""
    note = note_of(path)
    if not os.path.exists(note):
        raise LabError(f"no emulated disk was started for {path}")
    if words[0] == "return" and "at" in words[:-1]:
        # Where the keeper runs is not where the person is.
        place = words.index("at") + 1
        words = [*words[:place], os.path.abspath(words[place]), *words[place + 1 :]]
    with open(note, encoding="utf-8") as file:
        return ask(file.read(), *map(shlex.quote, words), timeout_s=ANSWER_TIMEOUT_S)


def note_of(path: str) -> str:
    """Return the file beside a disk's first path that says where its keeper listens."""
    return os.path.abspath(path).rstrip("/") + NOTE_SUFFIX


def chosen(mode: str, seed: str) -> dict[str, Any]:
    """Return the fate of un-flushed writes; without a seed, one that can be said again."""
    if mode not in MODES:
        raise LabError(f"{mode} is not one of {', '.join(MODES)}")
    return {"mode": mode, "seed": number(seed) if seed else random.randrange(1 << 30)}


def number(text: str) -> int:
    """Return a number that a person wrote; LabError when it is none."""
    if not text.isdecimal():
        raise LabError(f"{text} is not a number")
    return int(text)
