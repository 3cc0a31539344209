"""Run as a program: append to a journal from several threads, and print what was told durable."""

from __future__ import annotations

import os
import sys
import threading

from base.journal import journal

THREADS = 4


def main(folder: str, name: str) -> None:
    """Append until killed: `NUMBER PAYLOAD` a line, written after it was told."""
    journal.SEGMENT_BYTES = 4_000
    opened = journal.Journal(folder)

    def work(thread: int) -> None:
        count = 0
        while True:
            payloads = [f"{name}:{thread}:{count}:{part}".encode() for part in range(count % 3 + 1)]
            numbers = opened.append(*payloads)
            lines = [b"%d %s\n" % pair for pair in zip(numbers, payloads, strict=True)]
            os.write(1, b"".join(lines))
            count += 1

    for thread in range(THREADS):
        threading.Thread(target=work, args=[thread], daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
