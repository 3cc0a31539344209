"""Names in requests, checked where a request is made: no engine sees a wrong one."""

from typing import Annotated

from pydantic import AfterValidator, Field

from base.errors import UsageError
from fsd.format.paths import check_identifier, check_layout

TEXT_LENGTH_MAX = 4_096
"""Of paths, and of whatever may be one."""


def check_key(key: str) -> str:
    """Return the key in lower case; UsageError when it is not a sha256 in hexadecimal."""
    lowered = key.lower()
    if len(lowered) != 64 or set(lowered) - set("0123456789abcdef"):
        raise UsageError(
            f"{key!a} is not a key: a key is a sha256, 64 hexadecimal digits "
            "(`drystone ls BATCH` shows them)"
        )
    return lowered


def _checked_key(key: str) -> str:
    try:
        return check_key(key)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _checked_name(name: str) -> str:
    if reason := check_identifier(name):
        raise ValueError(f"{name!a} cannot be used as a name: {reason}")
    return name


def _checked_layout(name: str) -> str:
    if reason := check_layout(name):
        raise ValueError(f"{name!a} cannot be used as the id of a layout: {reason}")
    return name


def _checked_path(path: str) -> str:
    # Not pydantic's own bounds: with one, a text has to be UTF-8, which names of files need not be.
    if not path:
        raise ValueError("'' is no whole path: name a file or a folder")
    if len(path) > TEXT_LENGTH_MAX:
        raise ValueError(f"a path has at most {TEXT_LENGTH_MAX:,} characters")
    return path


Key = Annotated[str, AfterValidator(_checked_key), Field(description="The file's sha256.")]
Name = Annotated[str, AfterValidator(_checked_name)]
LayoutName = Annotated[str, AfterValidator(_checked_layout)]
DiskName = Annotated[
    str,
    Field(description="The disk's name, such as d2."),
]
"""A name, an id or a path: the engine finds the disk."""
PathText = Annotated[
    str,
    AfterValidator(_checked_path),
    Field(json_schema_extra={"minLength": 1, "maxLength": TEXT_LENGTH_MAX}),
]
"""A path as the operating system has it: what is no UTF-8 in it are surrogates."""
