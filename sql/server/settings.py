"""The embedded server's settings: it owns drystone.conf in the data folder, rewritten each start.

`ALTER SYSTEM` has the last word over it, so what a person sets by hand stays.
"""

from __future__ import annotations

import os

from base.ballast import filesystem
from base.files import OWNER_AS_IT_IS, write_durably
from sql.core.programs import Account

FILE_NAME = "drystone.conf"
MIB = 1 << 20
GIB = 1 << 30
CONNECTIONS_MAX = 60
WAL_SHARE = 25
"""The log may grow to one part in so many of the filesystem before a checkpoint empties it."""
_INCLUDE = f"include_if_exists = '{FILE_NAME}'\n"


def home_server_settings(data: str) -> dict[str, str]:
    """Return settings for a home server whose memory and SSD are shared with all else it does."""
    disk = filesystem(data)
    disk_bytes = disk.f_blocks * disk.f_frsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "listen_addresses": "''",
        "unix_socket_permissions": "0700",
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": _megabytes(memory // 8, 128 * MIB, 2 * GIB),
        "effective_cache_size": _megabytes(memory // 2, 512 * MIB, 64 * GIB),
        "maintenance_work_mem": _megabytes(memory // 32, 64 * MIB, GIB),
        "work_mem": _megabytes(memory // 256, 8 * MIB, 64 * MIB),
        # An SSD, and writes that come in large intents: fewer checkpoints, compressed page images.
        "random_page_cost": "1.1",
        "checkpoint_timeout": "15min",
        "max_wal_size": _megabytes(disk_bytes // WAL_SHARE, 64 * MIB, 4 * GIB),
        "wal_compression": "on",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "log_checkpoints": "off",
    }


def write_settings(data: str, more: dict[str, str], account: Account) -> None:
    """Write drystone.conf and make postgresql.conf include it; idempotent."""
    settings = {**home_server_settings(data), **more}
    text = "# Written at each start; change settings with ALTER SYSTEM, which overrules these.\n"
    text += "".join(f"{name} = {value}\n" for name, value in settings.items())
    is_other = os.geteuid() != account.uid
    owner = (account.uid, account.gid) if is_other else OWNER_AS_IT_IS
    write_durably(os.path.join(data, FILE_NAME), text.encode(), mode=0o600, owner=owner)
    main = os.path.join(data, "postgresql.conf")
    with open(main, encoding="utf-8") as file:
        former = file.read()
    if _INCLUDE not in former:
        text = f"{former.rstrip()}\n{_INCLUDE}"
        write_durably(main, text.encode(), mode=0o600, owner=owner)


def _megabytes(size_bytes: int, least: int, most: int) -> str:
    return f"{min(max(size_bytes, least), most) // MIB}MB"
