"""Index generations on the SSD: it owns where each lies and which one CURRENT names."""

import os

from base.files import write_durably


def current_generation(index_root: str) -> int | None:
    """Return the generation CURRENT names, or None when there is no index."""
    try:
        with open(os.path.join(index_root, "CURRENT"), encoding="ascii") as file:
            return int(file.read().strip())
    except (FileNotFoundError, ValueError):
        return None


def set_current_generation(index_root: str, generation: int) -> None:
    """Point CURRENT at a generation; durable when it returns, a crash leaves the old one."""
    target = os.path.join(index_root, "CURRENT")
    write_durably(target, f"{generation}\n".encode())


def generation_path(index_root: str, generation: int) -> str:
    """Return the folder of one generation."""
    return os.path.join(index_root, str(generation))
