"""A process that makes thumbnails: it owns starting it, asking it, and ending it when it hangs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

from base.processes.descriptors import wait_readable

ANSWER_TIMEOUT_S = 30.0
ANSWER_SIZE_BYTES = 4_096
PICTURES_PER_PROCESS = 2_000
"""Then a new one: decoders leak."""

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ThumbnailWorker:
    """One process, started when it is first needed; for one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def make(self, source: str, target: str, media_type: str, edge_px: int) -> str:
        """Make a picture of a file, drawn as `media_type`; returns why there is none."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        request = {"source": source, "target": target, "media_type": media_type, "edge_px": edge_px}
        try:
            process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            process.stdin.flush()
        except OSError:
            self.close()
            return "the decoder did not start"
        if not wait_readable(process.stdout, timeout_s=ANSWER_TIMEOUT_S):
            self.close()
            return f"decoding it takes more than {ANSWER_TIMEOUT_S:g} s"
        answer = os.read(process.stdout.fileno(), ANSWER_SIZE_BYTES)
        if not answer:
            self.close()
            return "the decoder crashed, or needed too much memory"
        try:
            return str(json.loads(answer)["reason"])
        except (ValueError, KeyError):
            self.close()
            return "the decoder gave no answer"

    def close(self) -> None:
        """Kill the process; the next picture gets a new one."""
        process, self._process, self._asked = self._process, None, 0
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _running(self) -> subprocess.Popen[bytes]:
        self._asked += 1
        if self._asked > PICTURES_PER_PROCESS:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "adapters.thumbnails.main"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
            )
        return self._process
