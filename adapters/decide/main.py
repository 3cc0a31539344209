"""The process that looks at JSON of strangers: it owns its limits, and decides line by line.

One line in: name, thresholds and documents, each as JSON text. One line out: the decision. It opens
no file, and whoever started it kills it when it takes too long.
"""

from __future__ import annotations

import json
import resource
import sys

from adapters.decide.decision import Decision, Thresholds, decide

MEMORY_BYTES_MAX = 2_000_000_000
CPU_S_MAX = 120


def main() -> None:
    """Answer requests until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        sys.stdout.write(_decided(line).model_dump_json() + "\n")
        sys.stdout.flush()


def _decided(line: bytes) -> Decision:
    request = json.loads(line)
    documents = [json.loads(text) for text in request["documents"]]
    return decide(documents, request["name"], Thresholds(**request["thresholds"]))


if __name__ == "__main__":
    main()
