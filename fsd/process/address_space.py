"""The address space of a process: what the index maps of it, and whether a limit leaves that much.

LMDB maps its whole range at once. It is addresses and no memory: pages are used as they are read.
"""

import resource

from base.text import size_text

INDEX_MAP_BYTES = 1 << 38
"""What one open index maps; its file can never grow beyond that."""
BESIDE_BYTES = 8 << 30
"""What an engine maps beside it: buffers, threads, programs."""


def address_space_problem(indexes: int = 1) -> str | None:
    """Return what a limit on this process's address space (RLIMIT_AS) keeps from opening so many
    indexes, in one line, or None. A process that it starts has the same limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    needed = indexes * INDEX_MAP_BYTES + BESIDE_BYTES
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return None
    return (
        f"the address space is limited to {size_text(limit)} here, and the index is mapped into "
        f"{size_text(needed)} (addresses, not memory): lift the limit with `ulimit -v unlimited`, "
        "or LimitAS=infinity in a unit, and start again"
    )
