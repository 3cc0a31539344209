"""Every verb that takes a disk's name says alike that there is none of this name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import typer
from command import drystone, environment

from base.errors import UsageError
from fsd.cli.app import app
from fsd.disks.disk_names import find_disk

VERBS = {
    "disk calibrate": ["{}"],
    "disk drain": ["{}"],
    "disk rebind": ["{}", "/nowhere"],
    "disk replace": ["{}", "/nowhere", "--yes"],
    "disk retire": ["{}", "--force", "--yes"],
    "disk safe-to-remove": ["{}"],
    "disk undrain": ["{}"],
    "losses": ["--without", "{}"],
    "rebuild": ["--disk", "{}", "--yes"],
}
ODD_NAMES = ("nosuch", "a\nb", "\udcff", "/mnt/nosuch", "x" * 300, "")


def verbs_that_name_a_disk() -> Iterator[str]:
    """Yield the commands that have a parameter for a disk that the store has already."""
    known = typer.main.get_command(app)
    groups = {f"disk {name}": command for name, command in known.commands["disk"].commands.items()}
    for verb, command in {**known.commands, **groups}.items():
        # A folder to be is no name, nor is the one that a new disk gets.
        made = command.make_context(verb, [], resilient_parsing=True).command
        metavars = {one.metavar for one in made.params if one.opts != ["--name"]}
        if metavars & ({"NAME", "OLD"} if verb.startswith("disk ") else {"DISK"}):
            yield verb


def test_no_verb_is_left_out():
    assert sorted(verbs_that_name_a_disk()) == sorted(VERBS)


def test_an_unknown_disk_is_wrong_usage_and_one_line_with_the_known_ones(store):
    made = store(2)
    commands = [
        [*verb.split(), *(argument.format("nosuch") for argument in rest)]
        for verb, rest in VERBS.items()
    ]
    # Where a name could not be a part of an address either.
    commands += [["disk", "drain", "a\nb"], ["rebuild", "--yes", "--disk", "\udcff"]]
    with ThreadPoolExecutor(2) as workers:
        tried = [
            workers.submit(drystone, *command, env=environment(made), expect=2)
            for command in commands
        ]
    for done in tried:
        said = done.result().stderr
        assert said.startswith(b"drystone: there is no disk ") and said.count(b"\n") == 1, said
        assert said.endswith(b"; the disks are d1, d2\n") and not done.result().stdout
    client = made.client
    asked = (client.disk_drain, client.disk_undrain, client.disk_removal, client.disk_retire,
             client.disk_calibrate, client.rebuild, lambda name: client.losses([name]))  # fmt: skip
    for name in ODD_NAMES:
        for ask in asked:
            with pytest.raises(UsageError, match=r"there is no disk .*; the disks are d1, d2$"):
                ask(name)
        with pytest.raises(UsageError, match=r"there is no disk .*; the disks are d1, d2$"):
            client.disk_replace(name, "/nowhere")
    assert [one.state for one in client.disks()] == ["online", "online"]


def test_a_disk_is_found_by_name_id_or_the_path_that_it_is_at_now():
    old, new, other = (
        SimpleNamespace(name=name, disk_id=f"{name}-id", path=path)
        for name, path in (("d1", "/mnt/a"), ("d2", "/mnt/a"), ("d3", "/mnt/b"))
    )
    disks = [old, new, other]
    assert find_disk(disks, "d1") is find_disk(disks, "d1-id") is old
    assert find_disk(disks, "/mnt/a") is new and find_disk(disks, "/mnt/b") is other
    assert find_disk(disks, "/mnt/b/") is find_disk(disks, "/mnt//b/.") is other
    for name in ODD_NAMES:
        with pytest.raises(UsageError, match=r"the disks are d1, d2, d3$"):
            find_disk(disks, name)
