"""What packages come to, before anything is stored: it owns finding, checking and joining them.

A batch is restored whole or not at all: its packages together are one frozen listing, and the store
seals a batch with its first complete writing. What replays of a batch found lies in packages of
their own, which come after those of the batch, in the order of the replays.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.packages.package_read import (
    SUMS_NAME,
    Entry,
    ManifestHead,
    package_key,
    read_head,
    read_intents,
    read_manifest,
    verify_package,
)
from adapters.records.errors import PackageError
from adapters.records.names import derived_batch, fixed_batch
from base.errors import UsageError

MISSING_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Package:
    """A verified package."""

    place: str
    head: ManifestHead
    entries: list[Entry]
    sums: dict[str, str]
    key: str
    size_bytes: int

    @property
    def package_id(self) -> str:
        """Its name in the outbox, whatever its folder is called now."""
        run = f"-r{self.head.replay}" if self.head.replay else ""
        return f"{self.head.batch}{run}-{self.head.package:04d}"


@dataclass(frozen=True, slots=True)
class Part:
    """All packages of a batch itself, or all of one replay of it, by their numbers."""

    replay: str | None
    packages: list[Package]

    @property
    def sets(self) -> dict[str, list[Entry]]:
        """The files by the batch of the store that they belong to."""
        found: dict[str, list[Entry]] = {}
        for package in self.packages:
            for entry in package.entries:
                found.setdefault(store_name(package.head, entry), []).append(entry)
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """One batch: its own part first (absent when only replays were named), then its replays.

    Or a group of batches of the store that actions and datasets made, which is one part.
    """

    batch: str
    adapter: str | None
    """None for what was made: then `batch` is the name of a group."""
    user: str | None
    parts: list[Part]

    @property
    def own(self) -> Part | None:
        """The batch itself."""
        return self.parts[0] if self.parts[0].replay is None else None

    @property
    def sets(self) -> dict[str, list[Entry]]:
        """All files by their batch of the store."""
        return {name: entries for part in self.parts for name, entries in part.sets.items()}

    @property
    def scraped(self) -> list[Entry]:
        """The files of the frozen listing."""
        return self.own.sets.get(self.batch, []) if self.own else []


def store_name(head: ManifestHead, entry: Entry) -> str:
    """Return the batch of the store that a path of a package belongs to."""
    if entry.batch:
        return entry.batch
    if entry.set_name == "fixed":
        return fixed_batch(head.batch, head.replay or "")
    return derived_batch(head.batch, head.replay) if entry.set_name == "derived" else head.batch


def find_packages(places: list[str]) -> list[str]:
    """Return the package folders at or right below the given places, in name order."""
    found: list[str] = []
    for place in places:
        if os.path.exists(os.path.join(place, SUMS_NAME)):
            found.append(place)
            continue
        if not os.path.isdir(place):
            raise UsageError(f"{place!a} is not a folder")
        try:
            below = sorted(entry.path for entry in os.scandir(place) if entry.is_dir())
        except OSError as error:
            raise UsageError(f"{place!a} cannot be read: {error.strerror}") from error
        packages = [path for path in below if os.path.exists(os.path.join(path, SUMS_NAME))]
        if not packages:
            raise UsageError(f"{place!a} is no package and holds none (no {SUMS_NAME})")
        found += packages
    return list(dict.fromkeys(os.path.realpath(path) for path in found))


def by_batch(places: list[str]) -> tuple[dict[str, list[str]], dict[str, PackageError]]:
    """Group packages by the batch that their first line names; what has none is an error each."""
    groups: dict[str, list[str]] = {}
    wrong: dict[str, PackageError] = {}
    for place in places:
        try:
            groups.setdefault(read_head(place).batch, []).append(place)
        except PackageError as error:
            wrong[place] = error
    return groups, wrong


def make_plan(batch: str, places: list[str]) -> Plan:
    """Verify all packages of a batch by reading all of them; PackageError when anything is wrong.

    Raised too when packages are missing, contradict each other, or hold intents that are none.
    """
    parts: dict[str | None, dict[int, Package]] = {}
    for package in map(_verified, places):
        numbered = parts.setdefault(package.head.replay, {})
        former = numbered.setdefault(package.head.package, package)
        if former.key != package.key:
            raise PackageError(
                f"{former.place!a} and {package.place!a} are both {package.package_id}, "
                "but not the same; name only one of them"
            )
    plan = Plan(
        batch,
        *_signal(batch, parts.values()),
        [_whole(batch, run, parts[run]) for run in sorted(parts, key=lambda run: run or "")],
    )
    for name, entries in plan.sets.items():
        _check_tree(name, entries)
    return plan


def _verified(place: str) -> Package:
    sums = verify_package(place)
    head, entries = read_manifest(place)
    for _intent in read_intents(place, sums):
        pass  # Only that each can be read: a wrong one is found before anything is stored.
    try:
        size = sum(entry.stat().st_size for entry in os.scandir(place))
    except OSError as error:
        raise PackageError(f"{place!a} cannot be read: {error.strerror}") from error
    return Package(place, head, entries, sums, package_key(place), size)


def _signal(batch: str, parts: Iterable[dict[int, Package]]) -> tuple[str | None, str | None]:
    signals = {
        (package.head.adapter, package.head.user) for part in parts for package in part.values()
    }
    if len(signals) != 1:
        raise PackageError(f"the packages of batch {batch} name different adapters or users")
    return signals.pop()


def _whole(batch: str, run: str | None, numbered: dict[int, Package]) -> Part:
    totals = {package.head.packages for package in numbered.values()}
    if len(totals) != 1:
        raise PackageError(f"the packages of batch {batch} disagree on how many they are")
    total = totals.pop()
    beyond = [number for number in numbered if number > total]
    # Counted, not listed: the total is what a manifest says.
    if len(numbered) - len(beyond) < total or beyond:
        numbers = range(1, min(total, len(numbered) + MISSING_SHOWN_MAX) + 1)
        shown = ", ".join(f"{n:04d}" for n in numbers if n not in numbered)
        what = f"replay {run} of batch {batch}" if run else f"batch {batch}"
        raise PackageError(
            f"{what} has {total:,} packages and {len(numbered):,} were named; missing: {shown}; "
            "a batch is restored whole, so name all of them at once"
        )
    return Part(run, [numbered[number] for number in sorted(numbered)])


def _check_tree(name: str, entries: list[Entry]) -> None:
    """Refuse paths that cannot lie in one folder: the same twice, or a file that is a folder."""
    paths: set[str] = set()
    for entry in entries:
        if entry.path in paths:
            raise PackageError(f"the packages name {entry.path[:200]!a} of {name} twice")
        paths.add(entry.path)
    for path in paths:
        above = path.rpartition("/")[0]
        while above:
            if above in paths:
                raise PackageError(
                    f"the packages of {name} have {above[:200]!a} as a file and as a folder"
                )
            above = above.rpartition("/")[0]
