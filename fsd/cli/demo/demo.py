"""`drystone demo`: it owns the demo's work folder, its beginning, its end and its table.

It removes only folders that it made itself, which a marker file in them says. What happens in
between is in demo_steps.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from base.config import CONFIG_NAME
from base.errors import DrystoneError, UsageError
from base.output import say, write_json, write_line, write_table
from base.processes.process import APPLICATION_ROOT
from base.text import size_text
from fsd.cli.daemons import companions, daemon, daemon_mount
from fsd.cli.demo import demo_steps
from fsd.cli.demo.demo_files import SAMPLE_ROOT, sample_files
from fsd.cli.demo.demo_steps import Demo, Step
from fsd.client.client import Client
from fsd.disks.config import Config, load_config
from fsd.fixture import disks as demo_disks
from fsd.fixture.store import MARKER_NAME, made_by, make_place
from fsd.format.errors import FsdError


def run(work: str, folder: str | None, *, loop: bool, json_output: bool, gui: bool = True) -> bool:
    """Run the whole demo and print its table; tells whether everything was as promised."""
    work = os.path.abspath(work)
    if folder is not None and not os.path.isdir(folder):
        raise UsageError(f"{folder!a} is not a folder")
    if loop:
        demo_disks.check_loops()
    if os.path.exists(os.path.join(work, MARKER_NAME)):
        say(f"removing the former demo in {_near(work)}")
        clean(work)
    config = make_place(work, "drystone demo", loop, demo_disks.DISK_SIZES_MIB)
    mounted = _start(config)
    files = sample_files() if folder is None else None
    source = SAMPLE_ROOT if folder is None else os.path.abspath(folder)
    demo = Demo(work, source, files, loop, config, Client(config.socket_path), mounted, gui)
    try:
        _play(demo)
    except DrystoneError:
        say(f"\nthe demo ends here; the logs are in {config.run_dir}")
        raise
    _report(demo, json_output)
    return all(step.ok for step in demo.steps)


def _play(demo: Demo) -> None:
    demo_steps.store(demo)
    if demo.mounted:
        demo_steps.browse(demo)
    demo_steps.export_copy(demo, "copy", "Export a random half as a copy on the SSD")
    demo_steps.export_view(demo)
    victim = demo_steps.kill_a_disk(demo)
    demo_steps.read_degraded(demo, victim)
    demo_steps.rebuild(demo, victim)
    demo_steps.verify(demo)
    for chapter in companions.chapters():
        chapter(demo)


def _start(config: Config) -> bool:
    """Start engine and mount; tells whether the mount is there."""
    kinds = ", ".join(disk.name for disk in config.disk)
    say(f"a store in {_near(config.root)} with the disks {kinds}")
    daemon.start_engine(config, os.path.join(config.root, CONFIG_NAME), say)
    try:
        daemon_mount.start_mount(config)
    except daemon_mount.MountUnavailableError as error:
        say(f"{error}\nthe demo goes on without it")
        return False
    return True


def stop(work: str) -> str:
    """Stop the demo's processes and keep its files; returns what was done, as a sentence."""
    work = _marked(work)
    config_path = os.path.join(work, CONFIG_NAME)
    if os.path.exists(config_path):
        config = load_config(config_path)
        # They first: what they end needs the engine.
        companions.stop_all(config_path)
        daemon_mount.stop_all_mounts(config)
        daemon.stop_engine(config)
    return f"stopped the demo; `{launcher()} up --config {config_path}` starts it again"


def clean(work: str) -> str:
    """Stop the demo, take its disks away and remove its folder; returns what was done."""
    work = _marked(work)
    maker = made_by(work)
    stop(work)
    demo_disks.unmount_loops(work)
    left = demo_disks.mounts_below(work)
    if left:
        raise FsdError(f"{left[0]} is still mounted; nothing was removed")
    # The marker goes last, so that a removal that was cut off can be repeated.
    for entry in os.scandir(work):
        if entry.name != MARKER_NAME:
            _remove(entry)
    shutil.rmtree(work)
    return f"removed the demo in {work}" if maker == "drystone demo" else f"removed {work}"


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)


def _marked(work: str) -> str:
    work = os.path.abspath(work)
    if made_by(work) is None:
        raise UsageError(
            f"there is no demo in {work} (no {MARKER_NAME}), and no fixture: name its folder "
            "(of a demo with --work DIR)"
        )
    return work


# ---- What is printed at the end --------------------------------------------------------------


def _report(demo: Demo, json_output: bool) -> None:
    ok = all(step.ok for step in demo.steps)
    if json_output:
        write_json(
            {
                "ok": ok,
                "work": demo.work,
                "source": demo.source,
                "mounted": demo.mounted,
                "loop": demo.loop,
                "closing": demo.closing,
                "skipped": dict(demo.skipped),
                "steps": [_document(step) for step in demo.steps],
            }
        )
        return
    say("")
    headings = ("step", ">files", ">bytes", ">seconds", ">files/s", ">bytes/s", "")
    write_table(headings, [_row(step) for step in demo.steps])
    write_line("")
    write_line("Everything was as promised." if ok else "Something was NOT as promised, see above.")
    for line in _next_steps(demo):
        write_line(line)


def _document(step: Step) -> dict[str, Any]:
    return {
        "step": step.title,
        "files": step.files,
        "size_bytes": step.size_bytes,
        "duration_s": round(step.duration_s, 4),
        "ok": step.ok,
        "note": step.note,
    }


def _row(step: Step) -> tuple[str, ...]:
    per_s = 1 / step.duration_s if step.duration_s > 0 else 0.0
    moved = bool(step.files or step.size_bytes)
    return (
        step.title if len(step.title) <= 60 else step.title[:57] + "...",
        f"{step.files:,}" if step.files else "",
        size_text(step.size_bytes) if step.size_bytes else "",
        f"{step.duration_s:.2f}",
        f"{step.files * per_s:,.0f}" if moved and step.files else "",
        size_text(step.size_bytes * per_s) if moved and step.size_bytes else "",
        step.note if step.ok else f"FAILED: {step.note}",
    )


def _next_steps(demo: Demo) -> list[str]:
    command = launcher()
    work = _near(demo.work)
    work_option = "" if work == "drystone-demo" else f" --work {work}"
    lines = ["", "It is still running. What to try next:"]
    if demo.mounted:
        lines.append(f"  ls {os.path.join(work, 'mount', 'batches', demo_steps.BATCH)}")
    lines += [
        f"  export DRYSTONE_CONFIG={os.path.join(demo.work, CONFIG_NAME)}",
        f"  {command} health",
        f"  {command} capacity",
        f"  {command} ls {demo_steps.BATCH} | head",
        f"  {command} put FOLDER --batch NAME",
        f"  {command} demo --clean{work_option}     # stops it and removes the folder",
    ]
    return lines + [""] * bool(demo.closing) + demo.closing


def _near(path: str) -> str:
    """Return a path as one writes it here: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith("..") else relative


def launcher() -> str:
    """Return how this person calls us: the path of the launcher, or the plain name."""
    path = os.path.join(APPLICATION_ROOT, "drystone")
    if not os.access(path, os.X_OK):
        return "drystone"
    near = _near(path)
    return near if os.path.isabs(near) else os.path.join(".", near)
