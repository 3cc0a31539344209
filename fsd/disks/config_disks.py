"""The disks in drystone.toml: it owns writing where each one is, and leaves all else as it was.

tomlkit edits the text, so that comments and the sections of others stay. It is written only when
it then says exactly what was meant. A crash leaves the old file or the new one, whole.
"""

import contextlib
import fcntl
import json
import os
import tomllib
from collections.abc import Generator
from typing import Any

from base.config import END_LINE, absolute_path, read_config
from base.errors import ConfigError
from base.files import OWNER_AS_IT_IS, write_durably
from fsd.disks.config import DiskConfig


def write_disk(config_path: str, disk: DiskConfig) -> bytes:
    """Make drystone.toml name the disk at its path, durably; returns what it said before.

    ConfigError when that cannot be done; the file is as it was then.
    """
    root = os.path.dirname(os.path.abspath(config_path))
    with _edited_alone(config_path, root):
        former, text, document = _read(config_path)
        said = _entries(document)
        known = next((one for one in said if one.get("disk_id") == disk.disk_id), None)
        short = relative_path(disk.path, root)
        lines = disk_lines(disk.disk_id, disk.name, short)
        if known is None:
            if any(one.get("name") == disk.name for one in said):
                raise ConfigError(
                    f"{config_path} lists another disk as {disk.name!a}; name this "
                    "one otherwise (--name)"
                )
            document["disk"] = [*said, {**disk.model_dump(), "path": short}]
            changed = _append(text, lines)
        elif absolute_path(root, str(known.get("path", ""))) == disk.path:
            return former
        else:
            known["path"] = short
            changed = _move(text, said.index(known), short)
        if not _says(changed, document):
            raise ConfigError(
                f"{config_path} cannot be edited: it lists its disks in a way of its own; make it "
                "say yourself:\n" + "\n".join(lines)
            )
        _replace(config_path, changed.encode())
        return former


def put_back(config_path: str, former: bytes) -> None:
    """Write what drystone.toml said before."""
    with _edited_alone(config_path, os.path.dirname(os.path.abspath(config_path))):
        _replace(config_path, former)


def read_paths(config_path: str) -> dict[str, str]:
    """Return {disk id: path} as drystone.toml says it now; nothing while it cannot be read."""
    root = os.path.dirname(os.path.abspath(config_path))
    try:
        _, _, document = _read(config_path)
    except ConfigError:
        return {}
    pairs = [(one.get("disk_id"), one.get("path")) for one in _entries(document)]
    return {
        disk_id: absolute_path(root, path)
        for disk_id, path in pairs
        if isinstance(disk_id, str) and isinstance(path, str)
    }


def disk_lines(disk_id: str, name: str, path: str) -> list[str]:
    """Return a disk's section of drystone.toml; ConfigError when it cannot be written as TOML."""
    return [
        "[[disk]]",
        f"disk_id = {toml_text(disk_id)}",
        f"name = {toml_text(name)}",
        f"path = {toml_text(path)}",
        "",
    ]


def toml_text(value: str) -> str:
    """Return a string as TOML; ConfigError for one that is not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{value!r} cannot be written to a TOML file; use a UTF-8 name") from None
    # A JSON string without surrogate pairs is a valid TOML basic string.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def relative_path(path: str, root: str) -> str:
    """Return a path as drystone.toml has it: within its own folder it may move with that."""
    path = os.path.abspath(path)
    if not path.startswith(root + os.sep):
        return path
    short = os.path.relpath(path, root)
    return f"./{short}" if short.startswith("~") else short  # Else it would be somebody's home.


@contextlib.contextmanager
def _edited_alone(config_path: str, root: str) -> Generator[None]:
    """One writer at a time: commands edit the file beside the engine."""
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(
            f"{config_path} cannot be written ({error.strerror or error}), so nothing was changed; "
            "repair that first"
        ) from error


def _read(config_path: str) -> tuple[bytes, str, dict[str, Any]]:
    try:
        file = read_config(config_path)
    except ConfigError as error:
        raise ConfigError(f"{error}, so nothing was changed; repair that first") from error
    return file.content, file.content.decode(), file.document


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    listed = document.get("disk")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _append(text: str, lines: list[str]) -> str:
    """Return the text with one more section, before the end that it may have: a cut shows there."""
    before, end, behind = text.rpartition(f"\n{END_LINE}\n")
    written = "\n".join(lines)
    return f"{before}\n{written}{end}{behind}" if end else text.rstrip("\n") + "\n\n" + written


def _move(text: str, number: int, path: str) -> str:
    import tomlkit  # Here: a command that writes no file does not need it.
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        document["disk"][number]["path"] = tomlkit.string(path)
        return document.as_string()
    except (TOMLKitError, LookupError, TypeError):
        return text  # It is compared with what is meant, and does not say that.


def _says(text: str, wanted: dict[str, Any]) -> bool:
    with contextlib.suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(text) == wanted
    return False


def _replace(config_path: str, content: bytes) -> None:
    """Replace the file, or what it is a link to; owner and mode stay, for it may hold secrets."""
    target = os.path.realpath(config_path)
    info = os.stat(target)
    mode = info.st_mode & 0o7777
    try:
        write_durably(target, content, mode=mode, owner=(info.st_uid, info.st_gid))
    except PermissionError:
        # Only root may give a file to somebody else: whoever else may write it gets it.
        write_durably(target, content, mode=mode, owner=OWNER_AS_IT_IS)
