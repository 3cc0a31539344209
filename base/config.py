"""drystone.toml: where it is found, how it is read, and how a mistake in it is told.

Each folder has a model of its own section and judges no other. Of what all of them need (the
store's id, the SSD, the paths of the disks) this file knows how it is written.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from base.errors import ConfigError
from base.files import write_durably

if TYPE_CHECKING:
    from pydantic import BaseModel

CONFIG_NAME = "drystone.toml"
LAST_NAME = ".drystone.toml.last"
"""Beside it: what it said when `up` read it last, for `down` and for whoever has to repair it."""
END_LINE = "# end of drystone.toml"
END_PROMISE = f'# What is written here ends with "{END_LINE}": without that line it was cut off.'
"""What makes half a file an error: TOML that is cut off between two lines is TOML."""

Model = TypeVar("Model", bound="BaseModel")


def find_config(given: str | None) -> str:
    """Return the path of the configuration: the given file, else one here or above.

    Raises ConfigError that says how to make one.
    """
    if given:
        path = os.path.join(given, CONFIG_NAME) if os.path.isdir(given) else given
        if not os.path.isfile(path):
            raise ConfigError(f"{path} does not exist; make a store with `drystone init ROOT`")
        return os.path.abspath(path)
    folder = os.getcwd()
    while not os.path.isfile(os.path.join(folder, CONFIG_NAME)):
        if folder == os.path.dirname(folder):
            raise ConfigError(
                f"no {CONFIG_NAME} here or above; make a store with `drystone init ROOT`, or name "
                "one with --config FILE or DRYSTONE_CONFIG"
            )
        folder = os.path.dirname(folder)
    return os.path.join(folder, CONFIG_NAME)


def read_config(path: str) -> ConfigFile:
    """Read the file once. Raises ConfigError when it is not there, or no TOML."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode()
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}{_last_hint(path)}") from None
    lines = text.splitlines()
    if END_PROMISE in lines and END_LINE not in lines:
        raise ConfigError(
            f"{path} was cut off: it lacks its line `{END_LINE}`; put back what is missing"
            + _last_hint(path)
        )
    return ConfigFile(os.path.abspath(path), content, document)


def last_config(path: str) -> str:
    """Return the path of what the file said when `keep_last` read it last, there or not."""
    return os.path.join(os.path.dirname(os.path.abspath(path)), LAST_NAME)


def keep_last(path: str) -> None:
    """Keep what the file says beside it, with its mode, unless that is there already."""
    content = read_config(path).content
    kept = last_config(path)
    try:
        with open(kept, "rb") as file:
            if file.read() == content:
                return
    except OSError:
        pass
    with contextlib.suppress(OSError):  # Where nobody can write, nothing is kept.
        write_durably(kept, content, mode=os.stat(path).st_mode & 0o700)


def _last_hint(path: str) -> str:
    kept = last_config(path)
    is_there = os.path.exists(kept) and os.path.abspath(path) != kept
    return f"; {kept} has what it said at the last `drystone up`" if is_there else ""


def absolute_path(root: str, *parts: str) -> str:
    """Return a path of drystone.toml, which lies in `root`, from / on."""
    return os.path.normpath(os.path.join(root, os.path.expanduser(os.path.join(*parts))))


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file as it was read; every method raises ConfigError for what is written wrongly."""

    path: str
    content: bytes = field(repr=False)
    document: dict[str, Any] = field(repr=False)

    @property
    def root(self) -> str:
        """The folder that it lies in, from which its paths count."""
        return os.path.dirname(self.path)

    def section(self, *names: str, without: Iterable[str] = ()) -> dict[str, Any]:
        """Return a section, unchecked: `section("jobs", "alerts")` is [jobs.alerts]."""
        found: Any = self.document
        for depth, name in enumerate(names, 1):
            found = found.get(name, {})
            if not isinstance(found, dict):
                place = ".".join(names[:depth])
                raise ConfigError(f"{self.path}: {place} has to be a section: [{place}]")
        others = set(without)
        return {name: value for name, value in found.items() if name not in others}

    def checked(
        self, model: type[Model], *names: str, without: Iterable[str] = (), **more: Any
    ) -> Model:
        """Return a section as its model, which gets `more` besides what is written.

        The error names the fields that are wrong, and never shows what was written there: it could
        be a password.
        """
        from pydantic import ValidationError  # Who only looks for the file starts without it.

        written = self.section(*names, without=without)
        for name in more.keys() & written.keys():
            place = ".".join([*names, name])
            raise ConfigError(
                f"{self.path} is refused:\n  {place}: this cannot be set; leave it out"
            )
        try:
            return model.model_validate({**written, **more})
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)
        lines = [f"{'.'.join([*names, *map(str, one['loc'])])}: {one['msg']}" for one in wrong]
        raise ConfigError(f"{self.path} is refused:\n  " + "\n  ".join(lines))

    def absolute(self, *parts: str) -> str:
        """Return a path that the file names, from / on."""
        return absolute_path(self.root, *parts)

    @property
    def store_id(self) -> str:
        """The id of the store that the file is of."""
        return self._text(self.section("store"), "store_id", "[store] store_id")

    @property
    def ssd(self) -> str:
        """The folder on the SSD."""
        return self.absolute(self._text(self.document, "ssd", "ssd"))

    @property
    def disk_paths(self) -> tuple[str, ...]:
        """The folders of the disks, in their order."""
        listed = self.document.get("disk", [])
        if not isinstance(listed, list):
            raise ConfigError(f"{self.path}: disks are listed as [[disk]]")
        disks = [one if isinstance(one, dict) else {} for one in listed]
        return tuple(self.absolute(self._text(one, "path", "[[disk]] path")) for one in disks)

    def _text(self, values: dict[str, Any], name: str, shown: str) -> str:
        value = values.get(name)
        if not isinstance(value, str):
            raise ConfigError(
                f"{self.path}: {shown} is missing, or no text; `drystone init` writes it"
            )
        return value
