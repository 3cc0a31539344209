"""What the adapters make of folders of samples: a table for the documents.

    python -m bench.sources --folder FOLDER

Every folder below FOLDER is sniffed and read as `drystone ingest --dry-run` reads it. It reports
counts; nothing is stored.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter

from adapters.ingest.dry_run import dry_run
from adapters.records.folder import ScrapeFolder
from adapters.sources.registry import sniff


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", required=True)
    arguments.add_argument("--adapter", default="", help="instead of the surest one")
    arguments.add_argument("--problems", action="store_true", help="list what is quarantined")
    options = arguments.parse_args()
    print("| set | adapter | files | records | nodes | edges | quarantined | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    totals: Counter[str] = Counter()
    for name in sorted(os.listdir(options.folder)):
        path = os.path.join(options.folder, name)
        if not os.path.isdir(path):
            continue
        adapter = options.adapter or sniff(ScrapeFolder.of(path))[0][0]
        begun = time.monotonic()
        counts, problems = dry_run(path, adapter)
        took_s = time.monotonic() - begun
        edges = sum(counts.edges.values())
        row = (counts.files, counts.records, counts.nodes, edges, counts.quarantined)
        totals.update(dict(zip(("files", "records", "nodes", "edges", "bad"), row, strict=True)))
        print(f"| {name} | {adapter} | " + " | ".join(f"{n:,}" for n in row) + f" | {took_s:.2f} |")
        if options.problems:
            for line in problems:
                print("    ", line)
    print("| all | | " + " | ".join(f"{number:,}" for number in totals.values()) + " | |")


if __name__ == "__main__":
    main()
