"""Who else may reach the areas of the SSD: a group of accounts that delivers into the inbox (3A),
and one that works on stages (3C).

Whoever passes through the SSD's folder on the way finds everything else in it closed. Nothing is
taken back here: an area that had a group keeps it until somebody changes its mode.
"""

import grp
import os
import stat

from fsd.disks.config import Config

CLOSED = 0o700
PASSED = 0o711
OUTPUT_MODE = 0o2770


def give_access(config: Config) -> list[str]:
    """Give the groups of [areas] their area; returns what could not be done, a line for each."""
    wanted = config.areas.by_area()
    if not wanted:
        return []
    problems: list[str] = []
    try:
        # Closed before the way is opened: a crash in between leaves too little access.
        for entry in os.scandir(config.ssd):
            if entry.name not in wanted and not entry.is_symlink():
                mode = stat.S_IMODE(entry.stat().st_mode)
                os.chmod(entry.path, mode & CLOSED)
        os.chmod(config.ssd, stat.S_IMODE(os.stat(config.ssd).st_mode) | PASSED)
    except OSError as error:
        problems.append(f"[areas]: {config.ssd} stays closed: {error.strerror} ({error.filename})")
    for area, (group, mode) in wanted.items():
        path = config.area_path(area)
        try:
            # The mode second: changing the group takes the bit away that new folders get it by.
            os.chown(path, -1, group_id(group))
            os.chmod(path, mode)
        except (KeyError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such group"
            problems.append(f"[areas]: area {area} is not given to group {group}: {reason}")
    return problems


def group_id(group: str) -> int:
    """Return the number of a group, given by name or number. KeyError when there is none."""
    return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid


def share_output(path: str, config: Config) -> None:
    """Let the group of the stage write into an output folder."""
    if "3c" not in config.areas.by_area():
        return
    try:
        os.chown(path, -1, group_id(config.areas.stage_group))
        os.chmod(path, OUTPUT_MODE)
    except (KeyError, OSError):
        return  # Said when the engine started; the worker that cannot write says so, too.
