"""The direction of imports between our folders, as import-linter contracts.

Owns the rule (`gui -> jobs -> datasets, adapters -> fsd, sql -> base`, the rooms of each folder
from high to low, and who may use which library). The contracts are made for the folders that exist,
so a folder comes under them the day it appears.
Never imports our code. Run as a script it lints: `drystone test` does so.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Highest first. Folders on one layer do not know each other.
LAYERS = (("gui",), ("jobs",), ("datasets", "adapters"), ("fsd", "sql"), ("base",))

# The rooms of each folder, highest first: a room imports from those below it only. Rooms on one
# line do not know each other. Modules that lie in no room are started by others, by their path.
ROOMS: dict[str, tuple[str, ...]] = {
    "fsd": (
        "cli",
        "fixture",
        "mount",
        "client",
        "operations",
        "engine",
        "watch",
        "delete",
        "running",
        "export",
        "scrub",
        "replicas",
        "repair",
        "ingest",
        "compile",
        "store",
        "disks",
        "disk_io",
        "process",
        "planning",
        "documents",
        "format",
    ),
    "sql": (
        "cli",
        "operations",
        "api",
        "backup",
        "database",
        "copies",
        "people",
        "rights",
        "datasets",
        "actions",
        "runs",
        "selector",
        "search",
        "intent",
        "events",
        "server",
        "core",
    ),
    "jobs": (
        "cli",
        "api",
        "services",
        "remote",
        "scheduler",
        "worker",
        "runs",
        "queues",
        "notify",
        "runners",
        "core",
    ),
    "datasets": (
        "cli",
        "operations",
        "versions",
        "freeze",
        "choice",
        "layouts",
        "layout",
        "definition",
    ),
    "gui": (
        "cli",
        "services",
        "server",
        "door",
        "pages",
        "widgets",
        "contents",
        "reading",
        "access",
        "core",
    ),
    "adapters": (
        "cli",
        "operations",
        "audit",
        "actions",
        "thumbnails",
        "receive",
        "cold_storage",
        "ingest",
        "packages",
        "schemas",
        "work",
        "sources",
        "decide",
        "records",
    ),
    "adapters.actions": ("run", "labels", "outputs", "stage", "contract"),
}

# A library belongs to one folder, which hides it from the others.
OWNERS = {
    "pyfuse3": "fsd",
    "trio": "fsd",
    "lmdb": "fsd",
    "xxhash": "fsd",
    "psycopg": "sql",
    "rq": "jobs",
    "redis": "jobs",
    "nicegui": "gui",
}

# Jobs reach storage through adapters and datasets; the layers alone would allow the short way.
NEVER = {"jobs": ("fsd",)}


def existing_folders(root: str = ROOT) -> list[str]:
    """Return our package folders that are there, lowest layer last."""
    names = [name for layer in LAYERS for name in layer]
    return [name for name in names if os.path.exists(os.path.join(root, name, "__init__.py"))]


def contracts(folders: list[str], root: str = ROOT) -> str:
    """Return the import-linter configuration (TOML) that holds for these folders below root."""
    layers = [" | ".join(name for name in layer if name in folders) for layer in LAYERS]
    sections = [
        "[tool.importlinter]\n"
        f"root_packages = {_toml(folders)}\n"
        "include_external_packages = true\n",
        _contract("imports run one way", "layers", layers=[layer for layer in layers if layer]),
    ]
    for folder, rooms in ROOMS.items():
        present = [room for room in rooms if _has_room(root, folder, room)]
        if folder.split(".")[0] in folders and len(present) > 1:
            sections.append(
                _contract(
                    f"rooms of {folder}",
                    "layers",
                    layers=[f"{folder}.{room}" for room in present],
                )
            )
    for library, owner in OWNERS.items():
        others = [name for name in folders if name != owner]
        if others:
            sections.append(_forbidden(f"{library} only in {owner}", others, [library]))
    for folder, targets in NEVER.items():
        present = [name for name in targets if name in folders]
        if folder in folders and present:
            sections.append(
                _forbidden(f"{folder} never imports {', '.join(present)}", [folder], present)
            )
    return "\n".join(sections)


def _has_room(root: str, folder: str, room: str) -> bool:
    return os.path.exists(os.path.join(root, *folder.split("."), room, "__init__.py"))


def _forbidden(name: str, sources: list[str], targets: list[str]) -> str:
    # The way over the owner's face is the allowed one, so only direct imports count.
    return _contract(name, "forbidden", source_modules=sources, forbidden_modules=targets) + (
        "allow_indirect_imports = true\n"
    )


def _contract(name: str, kind: str, **lists: Sequence[str]) -> str:
    lines = ["[[tool.importlinter.contracts]]", f'name = "{name}"', f'type = "{kind}"']
    lines += [f"{key} = {_toml(values)}" for key, values in lists.items()]
    return "\n".join(lines) + "\n"


def _toml(values: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def lint(root: str = ROOT) -> int:
    """Check the folders below root; return 0 when every contract is kept."""
    from importlinter.cli import lint_imports

    folders = existing_folders(root)
    if not folders:
        print("no package folder yet")
        return 0
    sys.path.insert(
        0, root
    )  # In front of this script's own folder: tests/fsd must not stand for fsd.
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "contracts.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(contracts(folders, root))
        return lint_imports(config_filename=config, no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(lint())
