"""The commands of the store: it owns `init up down status mount umount demo` and joins the others.

Nothing heavy is imported before a command runs, so that `--help` stays quick. Errors are raised as
FsdError; the front door turns them into one line and an exit code.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE, ConfigError, DrystoneError
from base.operations.commands import OperationGroup, add_later
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line
from base.text import duration_text, size_text
from fsd.cli import disk as cli_disk
from fsd.cli import doctor as cli_doctor
from fsd.cli import log as cli_log
from fsd.cli import metrics as cli_metrics
from fsd.cli.session import open_config, opened

if TYPE_CHECKING:
    from fsd.cli.daemons.daemon import DaemonStatus
    from fsd.disks.config import Config
    from fsd.documents.models import Notice

app = typer.Typer()


@app.command()
def demo(
    folder: Annotated[
        str | None,
        typer.Argument(metavar="FOLDER", help="Your files; without it, some of /usr/share."),
    ] = None,
    work: Annotated[
        str, typer.Option("--work", metavar="DIR", help="Where the demo lives.")
    ] = "drystone-demo",
    loop: Annotated[
        bool, typer.Option("--loop", help="Real ext4 disks of unequal size in files (needs root).")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop its processes, keep its files.")
    ] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Stop it and remove its folder.")] = False,
    no_gui: Annotated[bool, typer.Option("--no-gui", help="Without the pages.")] = False,
    json_output: JsonOption = False,
) -> None:
    """See it work on this machine, in a minute.

    Makes a folder with four disks and an SSD (folders, or real filesystems with --loop), stores
    your files, browses and exports them, kills a disk, reads everything without it, rebuilds. Every
    byte is compared with its source. The store stays up for you to play with, until --clean.

    Exit codes: 0 all as promised, 1 failed, 2 wrong usage, 3 something was not as promised.
    """
    from fsd.cli.demo import demo as story

    if stop or clean:
        done = story.clean(work) if clean else story.stop(work)
        say(done)
        return
    ok = story.run(work, folder, loop=loop, json_output=json_output, gui=not no_gui)
    if not ok:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(epilog=EXIT_CODES)
def fixture(
    work: Annotated[str, typer.Argument(metavar="FOLDER", help="A new folder for all of it.")],
    files: Annotated[int, typer.Option("--files", min=1, max=10_000_000)] = 1000,
    small: Annotated[
        bool, typer.Option("--small", help="Only small ones, without the 5 % that are larger.")
    ] = False,
    disks: Annotated[
        str, typer.Option("--disks", metavar="MIB,MIB...", help="How large each disk is.")
    ] = "700,500,400,300",
    loop: Annotated[
        bool, typer.Option("--loop", help="Real ext4 disks of these sizes in files (needs root).")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same makes the same files.")] = 1,
    clean: Annotated[bool, typer.Option("--clean", help="Stop it and remove the folder.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Make a store on unequal disks, and files to put, to try things on.

    95 % of the files are small (24 kB in the middle), 4 % have 0.3 to 3 MB, 1 % 8 to 32 MB; none
    can be compressed, and no two are the same. Folders stand for disks unless --loop.

    \b
    Example:
      drystone fixture /tmp/try --files 500
      cd /tmp/try && drystone up && drystone put files --batch first
      drystone fixture /tmp/try --clean
    """
    from fsd.cli.demo import demo as story
    from fsd.fixture.store import disk_sizes_of, make_fixture

    if clean:
        say(story.clean(work))
        return
    kind, sizes_mib = "small" if small else "mixed", disk_sizes_of(disks)
    settings, made = make_fixture(
        work, files, kind=kind, loop=loop, sizes_mib=sizes_mib, seed=seed, say=say
    )
    if json_output:
        document = {"root": settings.root, "files": made.folder, "count": len(made.sizes)}
        write_json({**document, "size_bytes": made.size_bytes, "seed": seed})
        return
    say(
        f"made a store of {len(settings.disk)} disks in {settings.root}, and "
        f"{len(made.sizes):,} files of {size_text(made.size_bytes)} in {made.folder}; now:"
    )
    say(f"  cd {settings.root}\n  drystone up\n  drystone put files --batch first")


@app.command(epilog=EXIT_CODES)
def init(
    root: Annotated[
        str, typer.Argument(metavar="ROOT", help="A folder for drystone.toml, logs and sockets.")
    ],
    disk: Annotated[
        list[str] | None,
        typer.Option("--disk", metavar="PATH", help="A mounted disk; repeat for each."),
    ] = None,
    ssd: Annotated[
        str | None, typer.Option("--ssd", metavar="PATH", help="A folder on the SSD.")
    ] = None,
    copies: Annotated[int, typer.Option("--copies", min=1, help="Copies of raw files.")] = 2,
    copies_generated: Annotated[
        int, typer.Option("--copies-generated", min=1, help="Copies of generated files.")
    ] = 2,
    mount: Annotated[
        str | None, typer.Option("--mount", metavar="POINT", help="Where `up` mounts it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask where one copy is wished.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Make a store of some disks and a folder on the SSD.

    With `--copies 1` it asks first: the files of a disk that dies are lost then.

    \b
    Example:
      drystone init ~/store --disk /mnt/hdd1 --disk /mnt/hdd2 --ssd /mnt/ssd/drystone
    """
    from fsd.engine.setup import init_store

    if copies == 1:
        say(
            "with one copy of each file, a disk that dies takes its files with it, and a file that "
            "goes bad cannot be repaired"
        )
        if not yes and not typer.confirm("Keep only one copy?", err=True):
            raise typer.Exit(EXIT_FAILED)
    settings = init_store(
        root,
        disk or [],
        ssd,
        copies_raw=copies,
        copies_generated=copies_generated,
        mount=os.path.abspath(mount) if mount else None,
    )
    if settings.store.allow_same_device:
        say(
            "warning: several of these disks lie on one device. They die together, so this store "
            "is a try-out\n  and no protection; `drystone warnings` keeps saying so."
        )
    if json_output:
        write_json(settings)
        return
    say(f"made a store of {len(settings.disk)} disks in {settings.root}; now:")
    say(f"  cd {settings.root}\n  drystone up\n  drystone put FOLDER --batch NAME")


@app.command(epilog=EXIT_CODES)
def up(
    no_mount: Annotated[bool, typer.Option("--no-mount", help="Only the engine.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Start the engine, mount the store and start what belongs to it (database, jobs, pages).

    Does nothing when they run. Where nothing can be mounted the engine runs alone: exit code 3.
    """
    from base.config import find_config, keep_last
    from fsd.cli.daemons import companions, daemon

    settings = open_config(config)
    keep_last(find_config(config))
    started = daemon.start_engine(settings, find_config(config), say)
    say("the engine is up" if started else "the engine was up already")
    problem = None if no_mount else _mount(settings, None)
    companions.start_all(find_config(config), say)
    if json_output:
        write_json({**asdict(daemon.status(settings)), "problem": problem})
    if problem:
        say(problem)
        raise typer.Exit(EXIT_INCOMPLETE)


def _mount(settings: Config, point: str | None) -> str | None:
    """Mount and say so; returns what is in the way on a machine that cannot."""
    from fsd.cli.daemons import daemon_mount

    try:
        mounted = daemon_mount.start_mount(settings, point)
    except daemon_mount.MountUnavailableError as error:
        return str(error)
    say(f"{'mounted' if mounted else 'already mounted'} at {point or settings.mount}")
    return None


@app.command(epilog=EXIT_CODES)
def down(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Unmount the store and stop the engine and what belongs to it (database, jobs, pages).

    Does nothing when they are down. A broken drystone.toml is no hindrance.
    """
    from fsd.cli.daemons import companions, daemon, daemon_mount

    path, settings = _config_to_stop(config)
    try:
        # First, because tasks end what they do, and need the engine for it.
        companions.stop_all(path, say)
    finally:
        mounts = daemon_mount.stop_all_mounts(settings)
        stopped = daemon.stop_engine(settings)
        if json_output:
            write_json({"unmounted": mounts, "engine_stopped": stopped})
        say("unmounted" if mounts else "nothing was mounted")
        say("the engine is down" if stopped else "the engine was down already")


def _config_to_stop(given: str | None) -> tuple[str, Config]:
    """Return the configuration, or what it was at the last `up` when it cannot be used now."""
    from base.config import find_config, last_config

    path = find_config(given)
    try:
        return path, open_config(path)
    except ConfigError as error:
        kept = last_config(path)
        if not os.path.exists(kept):
            raise
        say(f"warning: {error}\nso what runs is stopped by {kept}")
        return kept, open_config(kept)


@app.command(epilog=EXIT_CODES)
def status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell whether engine, mount and database run, and what is critical.

    Exit code 1 when the engine does not run.
    """
    from base.config import find_config
    from fsd.cli.daemons import companions, daemon

    settings = open_config(config)
    found = daemon.status(settings)
    beside = companions.status_all(find_config(config))
    critical = _critical(settings) if found.engine_answers else []
    if json_output:
        more = {name: {"up": up, "text": text} for name, (up, text) in beside.items()}
        write_json({**asdict(found), **more, "critical": [one.model_dump() for one in critical]})
    else:
        lines = [f"{name:<8}  {text}" for name, (_, text) in beside.items()]
        for one in critical:
            lines += [f"critical  {one.code}: {one.message}", f"          {one.advice}"]
        for line in [*_status_lines(settings, found), *lines]:
            write_line(line)
    if not found.engine_answers:
        raise typer.Exit(EXIT_FAILED)


def _critical(settings: Config) -> list[Notice]:
    """Return the warnings that leave no time; the others are `drystone warnings`'."""
    from fsd.client.client import Client

    try:
        found = Client(settings.socket_path).warnings()
    except DrystoneError:
        return []  # It has just ended, or starts: then this is not what is to be told.
    return [one for one in found if one.severity == "critical"]


def _status_lines(settings: Config, found: DaemonStatus) -> list[str]:
    from fsd.cli.daemons import daemon

    if found.engine_answers:
        by = f"process {found.engine_pid}" if found.engine_pid else "started by somebody else"
        engine = f"up for {duration_text(found.engine_uptime_s)}, {by}"
    elif found.engine_pid:
        engine = f"process {found.engine_pid} does not answer; see {daemon.engine_log(settings)}"
    else:
        engine = "down; start it with `drystone up`"
    mount = f"at {found.mount_point}" if found.mounted else "not mounted"
    return [f"store     {settings.root}", f"engine    {engine}", f"mount     {mount}"]


@app.command(epilog=EXIT_CODES)
def mount(
    point: Annotated[str | None, typer.Argument(metavar="POINT", help="An empty folder.")] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Mount the store read-only.

    Works also while the engine is down.
    """
    settings = open_config(config)
    where = os.path.abspath(point) if point else settings.mount
    problem = _mount(settings, where)
    if json_output:
        write_json({"mount_point": where, "mounted": problem is None, "problem": problem})
    if problem:
        say(problem)
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog=EXIT_CODES)
def umount(
    point: Annotated[str | None, typer.Argument(metavar="POINT", help="As mounted.")] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Unmount the store.

    Works also when something in it is still open.
    """
    from fsd.cli.daemons import daemon_mount

    settings = open_config(config)
    where = os.path.abspath(point) if point else settings.mount
    stopped = daemon_mount.stop_mount(settings, where)
    if json_output:
        write_json({"mount_point": where, "unmounted": stopped})
    else:
        say(f"unmounted {where}" if stopped else f"nothing was mounted at {where}")


_WORDS = {
    "fsd.operations.files": {
        "put": "Store a folder as a batch.",
        "seal": "Seal a batch that was kept open: nothing more comes into it.",
        "get": "Read one stored file, verified.",
        "head": "Tell where a stored file lies, and its copies.",
        "ls": "List the batches, or the files of one.",
    },
    "fsd.operations.layouts": {
        "stage": "Lay files out for a program that works on them.",
        "export": "Make a dataset folder of stored files.",
        "views": "List the published views.",
        "unpublish": "Take a view out of the mount.",
    },
    "fsd.operations.look": {
        "health": "Tell whether all is well.",
        "warnings": "List what you should know, and what to do about it.",
        "capacity": "Tell what fits, also after losing a disk.",
    },
    "fsd.operations.care": {
        "verify": "Compare copies on the disks with their checksums.",
        "scrub": "Tell how much is due to be verified.",
        "rebuild": "Make the copies whole again.",
        "reindex": "Build a new index from the disks alone.",
        "fsck": "Compare index, catalogs and shards.",
        "losses": "List every file that no disk gives, and why.",
    },
    "fsd.operations.jobs": {"jobs": "List the jobs that run, and the last ones that ended."},
    "fsd.operations.deletion": {
        "compact": "Give the space of purged objects back: what lives beside them is written into "
        "fresh shards.",
        "pin": "Keep a manifest and all it names, whatever is purged, until `unpin`.",
        "unpin": "Let a pinned manifest go; what it names may then be purged with its batch.",
        "pins": "List the pinned manifests.",
    },
}
"""The commands of one word that are operations, and their first lines, which a test compares."""

for _module, _commands in _WORDS.items():
    add_later(app, _module, _commands, opened)


def _group(name: str, module: str, words: str) -> typer.Typer:
    group = OperationGroup(name, module, opened=opened, no_args_is_help=True, help=words)
    app.add_typer(group, name=name)
    return group


app.add_typer(cli_metrics.app)
app.add_typer(cli_log.app)
_group("job", "fsd.operations.jobs", "Wait for a job of the engine, or stop it.")
_group("alerts", "fsd.operations.care", "Try whether alerts arrive.")
_DISK_WORDS = "List the disks, add, drain, replace, retire and balance them."
_group("disk", "fsd.operations.disks", _DISK_WORDS).add_typer(cli_disk.app)
app.add_typer(cli_doctor.app)
