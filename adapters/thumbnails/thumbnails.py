"""Thumbnails of what is in the store: it owns making those that are missing, and where each goes.

1. A chunk of images, videos, sounds and documents is staged, in the order in which the disks
   like to read it.
2. A process apart draws each (see `thumbnail_worker`): its maker is a stranger.
3. The pictures are stored as generated data. A crash here leaves a batch that nothing refers to;
   the same pictures again are the same objects.
4. Which picture is whose goes into the database. What could not be drawn is recorded with its
   reason, and tried once; what the store could not give is left for the next time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from adapters.records.errors import AdapterError, SpaceError
from adapters.thumbnails.main import FACTS_TAG
from adapters.thumbnails.worker import ThumbnailWorker
from adapters.work.store_batch import store_batch, wait_for_former
from base.errors import DrystoneError
from fsd import Client, QuotaError, load_config
from sql import MadeThumbnail, Unpictured

if TYPE_CHECKING:
    from sql import Database

EDGE_PX = {"small": 320, "large": 1280, "full": 4096}
"""Longest edge. Small ones are kept in the store; others are drawn when somebody looks."""
SOURCE_SIZE_BYTES_MAX = {
    "image": 300_000_000,
    "video": 4_000_000_000,
    "sound": 2_000_000_000,
    "document": 300_000_000,
}
"""By what a file is drawn as, see `drawn_as`."""
CHUNK_NODES = 500
CHUNK_BYTES = 2_000_000_000
LAYOUT = "originals"
WORK_FOLDER = ".thumbnails"

Path = Callable[[str], str]
"""From a key to where its bytes can be read. Raises FsdError."""


class SourceFacts(NamedTuple):
    """Pixels of what a picture was made of, as it is stored, and its EXIF orientation (1 to 8)."""

    width: int
    height: int
    orientation: int


class ThumbnailReport(NamedTuple):
    """How many pictures were made, cannot be made, and have to wait for the store."""

    made: int
    broken: int
    away: int


def drawn_as(media_type: str | None, extension: str | None) -> str | None:
    """Return as what a file is drawn; None for what has no picture, as most texts."""
    if extension == "pdf":
        return "document"
    return media_type if media_type in SOURCE_SIZE_BYTES_MAX else None


def source_facts(path: str) -> SourceFacts | None:
    """Return what a thumbnail of ours says of its original; None when it says nothing."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return SourceFacts(**json.loads(picture.getexif()[FACTS_TAG]))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def make_thumbnails(
    config_path: str,
    database: Database,
    first: int,
    last: int,
    *,
    name: str,
    progress: Callable[[int], None] = lambda _done: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ThumbnailReport:
    """Make what is missing between two node ids; safe to kill and to run again.

    `name` names the place of its work and must be its own. Stops early when it is cancelled. Raises
    SpaceError when nothing can be staged now, AdapterError when the store does not take pictures.
    """
    config = load_config(config_path)
    client = Client(config.socket_path)
    folder = os.path.join(config.area_path("3c"), WORK_FOLDER, name)
    worker, report, begin = ThumbnailWorker(), ThumbnailReport(0, 0, 0), first
    try:
        while not cancelled():
            chunk = _chunk(database.thumbnails.missing(begin, last, CHUNK_NODES))
            if not chunk:
                break
            # Those that are away are missing still: the next chunk begins behind them.
            begin = chunk[-1].node_id + 1
            done = sum(report)
            with _opened(folder), _staged(client, folder, f"thumbnails-{name}", chunk) as path_of:
                made = _draw(
                    worker, folder, chunk, path_of, lambda n, done=done: progress(done + n),
                    cancelled,
                )  # fmt: skip
                _store(client, folder, made)
            # Barrier: the store has acknowledged the pictures. Only now may the database know.
            database.thumbnails.record(made)
            drawn = sum(one.thumbnail_key is not None for one in made)
            report = ThumbnailReport(
                report.made + drawn,
                report.broken + len(made) - drawn,
                report.away + len(chunk) - len(made),
            )
    finally:
        worker.close()
    return report


def _chunk(missing: Sequence[Unpictured]) -> list[Unpictured]:
    """Return the first nodes that are not too many bytes together; one at least."""
    chunk: list[Unpictured] = []
    size_bytes = 0
    for node in missing:
        size_bytes += 0 if _too_large(node) else node.size_bytes
        if chunk and size_bytes > CHUNK_BYTES:
            break
        chunk.append(node)
    return chunk


def _kind(node: Unpictured) -> str:
    return drawn_as(node.media_type, node.extension) or node.media_type


def _too_large(node: Unpictured) -> bool:
    return node.size_bytes > SOURCE_SIZE_BYTES_MAX[_kind(node)]


@contextlib.contextmanager
def _opened(folder: str) -> Generator[None]:
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "pictures"), mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _staged(
    client: Client, folder: str, stage: str, chunk: Sequence[Unpictured]
) -> Generator[Path]:
    """Make the originals readable meanwhile, all at once or else one by one."""
    manifest = os.path.join(folder, "manifest.jsonl")
    with open(manifest, "w", encoding="ascii") as file:
        for node in chunk:
            if not _too_large(node):
                line = {"path": node.key, "key": node.key, "size_bytes": node.size_bytes}
                file.write(json.dumps({**line, "node_id": node.node_id}) + "\n")
    # What a killed run left there may be other originals.
    _release(client, stage)
    try:
        root = _stage(client, manifest, stage)
        # One object that cannot be read stops the staging of all: then each is read alone.
        yield (lambda key: os.path.join(root, key)) if root else _reader(client, folder)
    finally:
        _release(client, stage)


def _stage(client: Client, manifest: str, stage: str) -> str:
    if os.path.getsize(manifest) == 0:
        return ""
    try:
        answer = client.stage_to_3c(manifest, stage, LAYOUT)
    except QuotaError as error:
        raise SpaceError(f"originals cannot be staged for thumbnails: {error}") from error
    except DrystoneError:
        return ""
    return answer.target_root if client.wait(answer.job_id).state == "done" else ""


def _release(client: Client, stage: str) -> None:
    job = client.wait(client.release_stage(stage, LAYOUT).job_id)
    if job.state != "done":
        raise AdapterError(f"the stage {stage} is not freed: {job.error or job.state}")


def _reader(client: Client, folder: str) -> Path:
    def read(key: str) -> str:
        path = os.path.join(folder, "original")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        client.read(key, path)
        return path

    return read


def _draw(
    worker: ThumbnailWorker,
    folder: str,
    chunk: Sequence[Unpictured],
    path_of: Path,
    progress: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> list[MadeThumbnail]:
    """Draw the nodes of a chunk; those that the store cannot give are left out."""
    made: list[MadeThumbnail] = []
    for number, node in enumerate(chunk, 1):
        if cancelled():
            break
        if _too_large(node):
            reason = f"too large for a picture ({node.size_bytes:,} bytes)"
            made.append(MadeThumbnail(node.node_id, None, reason))
            continue
        target = os.path.join(folder, "pictures", f"{node.key}.webp")
        try:
            source = path_of(node.key)
        except DrystoneError:
            continue
        reason = worker.make(source, target, _kind(node), EDGE_PX["small"])
        key = None if reason else _key_of(target)
        made.append(MadeThumbnail(node.node_id, key, reason))
        progress(number)
    return made


def _store(client: Client, folder: str, made: Sequence[MadeThumbnail]) -> None:
    pictures = os.path.join(folder, "pictures")
    keys = sorted(one.thumbnail_key for one in made if one.thumbnail_key)
    if not keys:
        return
    # Named by what is in it: the same pictures again, after a crash, are the same batch.
    names = sorted(name for name in os.listdir(pictures) if name.endswith(".webp"))
    listed = "\n".join((*names, *keys))
    batch = f"thumbnails-{hashlib.sha256(listed.encode()).hexdigest()[:32]}"
    wait_for_former(client, [batch])
    store_batch(client, pictures, batch, names, "generated")


def _key_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
