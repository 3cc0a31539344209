"""The one commit point of an SSD area: a folder is complete and durable, or it is not there.

A job writes into `<area>/.tmp/<flattened id>`; `seal` puts `_JOB.json` and the empty `_SEALED`
inside, makes everything durable with one syncfs, and renames it to its final place. This module
never verifies or counts what lies inside, and never reserves room: the caller does that first.

The job document is any JSON object; IDENTITY_FIELDS are those that say which content it stands for.
"""

import ctypes
import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any, cast

from base.errors import UsageError
from base.files import parse_json, sync_filesystem, sync_folder
from fsd.format.errors import SealedMismatchError
from fsd.format.paths import check_identifier

TEMPORARY_FOLDER = ".tmp"
JOB_NAME = "_JOB.json"
SEALED_NAME = "_SEALED"
IDENTITY_FIELDS = ("manifest_sha256", "layout_id", "mode", "dedup_mode", "provenance")
DEPTH_MAX = 4
JOB_SIZE_BYTES_MAX = 16 * 1024 * 1024
_NAME_SIZE_BYTES_MAX = 255
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)

# Called with the name of each barrier that was just passed; the crash tests kill themselves here.
OnBarrier = Callable[[str], object]
BARRIERS = ("documents written", "parents made", "synced", "renamed", "durable")


def begin(final_dir: Path, area_root: Path) -> Path:
    """Make (or keep, for a resume) the temporary folder of a target; returns its path.

    `final_dir` lies below `area_root`, each component an identifier. What an interrupted attempt
    left is kept, except its seal. Raises UsageError for names that may not become folders.
    """
    temporary = begun_folder(final_dir, area_root)
    temporary.parent.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    # A crash between writing the documents and the rename leaves a seal that vouches for nothing.
    _unlink_if_there(temporary / SEALED_NAME)
    _unlink_if_there(temporary / JOB_NAME)
    return temporary


def begun_folder(final_dir: Path, area_root: Path) -> Path:
    """Where `begin` makes the temporary folder of a target; UsageError for refused names."""
    return area_root / TEMPORARY_FOLDER / _flatten(final_dir, area_root)


def _flatten(final_dir: Path, area_root: Path) -> str:
    try:
        parts = final_dir.relative_to(area_root).parts
    except ValueError:
        raise UsageError(f"{final_dir} does not lie in the area {area_root}") from None
    if not 1 <= len(parts) <= DEPTH_MAX:
        raise UsageError(f"{final_dir} is not 1 to {DEPTH_MAX} folders below {area_root}")
    for part in parts:
        reason = check_identifier(part)
        if reason is not None:
            raise UsageError(f"{part!r} cannot name a folder: {reason}")
    # No identifier has a comma or a tilde, so no two targets share a name.
    flat = ",".join(parts)
    encoded = flat.encode("utf-8")
    if len(encoded) <= _NAME_SIZE_BYTES_MAX:
        return flat
    return encoded[:180].decode("utf-8", "ignore") + "~" + hashlib.sha256(encoded).hexdigest()


def open_filesystem(temporary: Path) -> int:
    """A descriptor for `seal`, opened before the first byte is written; the caller closes it.

    The kernel reports a failed write-back to a descriptor once, and only if it happened after the
    opening or nobody was told yet. One opened early cannot miss an error that another job's syncfs
    was told about.
    """
    return os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def seal(
    temporary: Path,
    final_dir: Path,
    job_document: Mapping[str, Any],
    *,
    filesystem_fd: int | None = None,
    on_barrier: OnBarrier = lambda barrier: None,
) -> None:
    """Commit the temporary folder as `final_dir`; on return it is there, complete and durable.

    Raises FileExistsError when the target exists (see `confirm_sealed`), and OSError when the
    filesystem failed; after a failed sync `discard` the folder, for a retry would sync nothing.
    """
    area_root = temporary.parent.parent
    if temporary != begun_folder(final_dir, area_root):
        raise UsageError(f"{temporary} was not begun for {final_dir}")
    _unlink_if_there(temporary / SEALED_NAME)
    _write_new(temporary / JOB_NAME, format_job(job_document))
    _write_new(temporary / SEALED_NAME, b"")
    # A crash here leaves the temporary folder, perhaps with a seal: `begin` takes that off again.
    on_barrier("documents written")
    final_dir.parent.mkdir(parents=True, exist_ok=True)
    # A crash here leaves empty parents, which the next attempt uses.
    on_barrier("parents made")
    sync_filesystem(temporary if filesystem_fd is None else filesystem_fd)
    # A crash here leaves a complete temporary folder that no reader looks at: the job resumes.
    on_barrier("synced")
    _rename_new(temporary, final_dir)
    # A crash here: after kill -9 the target is there, complete; after a power cut it is either
    # there, complete, or still in `.tmp`. `confirm_sealed` makes it durable before it is believed.
    on_barrier("renamed")
    _fsync_folders(final_dir, area_root)
    # A crash here loses nothing but the acknowledgement: the same job finds itself sealed.
    on_barrier("durable")


def format_job(job_document: Mapping[str, Any]) -> bytes:
    """The bytes of `_JOB.json`: sorted keys, indented for people, ASCII, a newline at the end."""
    text = json.dumps(job_document, sort_keys=True, indent=2, allow_nan=False)
    return text.encode("ascii") + b"\n"


def read_sealed(final_dir: Path) -> dict[str, Any] | None:
    """The job document, or None unless `_SEALED` and `_JOB.json` are there.

    It says nothing about durability: before acting on it use `confirm_sealed`. Raises
    SealedMismatchError when the document is damaged.
    """
    try:
        if not S_ISREG((final_dir / SEALED_NAME).lstat().st_mode):
            return None
        with (final_dir / JOB_NAME).open("rb") as file:
            document: object = parse_json(file.read(JOB_SIZE_BYTES_MAX))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise SealedMismatchError(
            f"{final_dir} is sealed, and its {JOB_NAME} is damaged, so nobody can say what it was "
            "made from; remove the folder, and export it again"
        )
    return cast("dict[str, Any]", document)


def is_same_job(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both stand for the same content: equal IDENTITY_FIELDS, and a manifest is named."""
    named = document.get("manifest_sha256") is not None
    return named and all(document.get(field) == other.get(field) for field in IDENTITY_FIELDS)


def confirm_sealed(
    final_dir: Path, area_root: Path, job_document: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The document of the same job sealed earlier, now surely durable; None when not sealed.

    Call it before `begin`: a job that is sealed is not run again. Raises SealedMismatchError when
    the target is sealed with other content.
    """
    _flatten(final_dir, area_root)  # refuses what does not lie in the area
    document = read_sealed(final_dir)
    if document is None:
        return None
    if not is_same_job(document, job_document):
        different = [f for f in IDENTITY_FIELDS if document.get(f) != job_document.get(f)]
        raise SealedMismatchError(
            f"{final_dir} is sealed with other content (different: "
            f"{', '.join(different) or 'no manifest is named'}); choose another id, or remove it"
        )
    # The process that renamed it may have died before its fsync.
    _fsync_folders(final_dir, area_root)
    return document


def discard(temporary: Path) -> None:
    """Remove a temporary folder and all in it; idempotent. A crash leaves a part, still listed.

    Raises UsageError for a folder that is not directly below a `.tmp`.
    """
    if temporary.parent.name != TEMPORARY_FOLDER:
        raise UsageError(f"{temporary} is not a temporary folder of an area")
    if os.path.lexists(temporary):
        _remove(os.fspath(temporary))


def clear(temporary: Path) -> None:
    """Remove all that lies in a temporary folder, not the folder itself."""
    for entry in os.scandir(temporary):
        if entry.is_dir(follow_symlinks=False):
            _remove(entry.path)
        else:
            os.unlink(entry.path)


def _remove(folder: str) -> None:
    """Remove a folder with all in it, though it may be deeper than calls can be nested."""
    if os.path.islink(folder):
        raise OSError(f"{folder} is a link")
    folders = [folder]
    for one in folders:  # It grows while it is walked.
        with os.scandir(one) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
    for one in reversed(folders):
        os.rmdir(one)


def _unlink_if_there(path: Path) -> None:
    path.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that replaces what bears its name; exclusive, so no planted link is followed."""
    _unlink_if_there(path)
    with path.open("xb") as file:
        file.write(content)


def _rename_new(source: Path, target: Path) -> None:
    """Rename, and never onto something that exists, not even an empty folder."""
    paths = (os.fsencode(source), os.fsencode(target))
    flags = ctypes.c_uint(_RENAME_NOREPLACE)
    if _libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], flags) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    # A filesystem without the flag (NFS, some FUSE): the check can race only with another writer
    # of this very target, and then rename still refuses a folder that is not empty.
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)


def _fsync_folders(final_dir: Path, area_root: Path) -> None:
    """Make the rename durable: every folder from the target's parent up to the area, and `.tmp`.

    All of them, not only those made now: a parent may stem from an attempt that crashed.
    """
    folders = [final_dir.parent]
    while folders[-1] != area_root:
        folders.append(folders[-1].parent)
    for folder in (*folders, area_root / TEMPORARY_FOLDER):
        if folder.exists():
            sync_folder(folder)
