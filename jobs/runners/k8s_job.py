"""The process that stands for a pod: it owns one Job from `apply` to its exit code.

Run by the guard, which kills it at a limit and deletes the Job afterwards. Standard library only;
kubectl is the only way to the cluster.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

COMMAND_S = 60.0
ERRORS_MAX = 30
"""So many answers in a row may fail: an API server restarts now and then."""
STOPPED = 143
FAILED = 1


class Job:
    """One Job of a cluster; `orders` come from `jobs.runners.k8s`."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.kubectl: list[str] = orders["kubectl"]
        self.name: str = orders["name"]
        self.selector: str = orders["selector"]
        self.poll_s: float = orders["poll_s"]
        self.log_bytes_max: int = orders["log_bytes_max"]
        self.manifest: dict[str, Any] = orders["manifest"]

    def run(self) -> int:
        """Apply the manifest, wait for its end, pass its words on; returns the pod's exit code."""
        if not self._sweep():
            return FAILED
        applied = self._call("apply", "-f", "-", stdin=json.dumps(self.manifest))
        if applied is None:
            return FAILED
        reason = self._wait()
        self._call("logs", f"job/{self.name}", f"--limit-bytes={self.log_bytes_max}", show=True)
        return self._exit_code(reason)

    def _sweep(self) -> bool:
        """Remove the Jobs of earlier attempts with their pods, never that of a later one."""
        found = self._call("get", "jobs", "--selector", self.selector, "--output", "name")
        if found is None:
            return False
        names = [line.rpartition("/")[2] for line in found.split()]
        older = [name for name in names if name <= self.name]
        # In the foreground: a Job is gone when its pods are, which write into the same folder.
        gone = ("--ignore-not-found", "--wait=true", "--cascade=foreground")
        return not older or self._call("delete", "job", *older, *gone) is not None

    def _wait(self) -> str:
        """Return `` when the Job is complete, or why it failed."""
        errors = 0
        while True:
            answer = self._call("get", "job", self.name, "--ignore-not-found", "--output", "json")
            if answer is not None and not answer.strip():
                return "it is not there any more"  # Such as ended by a later attempt.
            document = _parsed(answer)
            errors = 0 if document else errors + 1
            if errors > ERRORS_MAX:
                return "the cluster does not answer"
            for condition in (document or {}).get("status", {}).get("conditions") or []:
                if condition.get("status") == "True":
                    if condition.get("type") == "Complete":
                        return ""
                    if condition.get("type") == "Failed":
                        return condition.get("reason") or "Failed"
            time.sleep(self.poll_s)

    def _exit_code(self, reason: str) -> int:
        pods = self._document("pods", "--selector", f"job-name={self.name}") or {}
        for pod in pods.get("items", []):
            for container in pod.get("status", {}).get("containerStatuses") or []:
                ended = container.get("state", {}).get("terminated")
                if ended:
                    if ended.get("reason") not in (None, "Completed", "Error"):
                        _complain(f"the pod ended: {ended['reason']}")
                    return int(ended.get("exitCode", FAILED))
        if reason:
            _complain(f"the Job failed: {reason}")
        return FAILED if reason else 0

    def _document(self, *what: str) -> dict[str, Any] | None:
        return _parsed(self._call("get", *what, "--output", "json"))

    def _call(self, *arguments: str, stdin: str = "", show: bool = False) -> str | None:
        try:
            result = subprocess.run(
                [*self.kubectl, *arguments],
                input=stdin.encode(),
                stdout=None if show else subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=COMMAND_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            _complain(f"kubectl {arguments[0]}: {error}")
            return None
        if result.returncode != 0:
            complaint = result.stderr.decode(errors="replace").strip()
            _complain(f"kubectl {arguments[0]}: {complaint[:1000]}")
            return None
        return (result.stdout or b"").decode(errors="replace")


def _parsed(answer: str | None) -> dict[str, Any] | None:
    try:
        return json.loads(answer) if answer else None
    except ValueError:
        return None


def _complain(text: str) -> None:
    print(f"[drystone: {text}]", file=sys.stderr, flush=True)


def _stop(number: int, frame: object) -> None:
    sys.exit(STOPPED)


def main() -> None:
    """Drive the Job of the orders on stdin; ends with the pod's exit code."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(Job(json.load(sys.stdin)).run())


if __name__ == "__main__":
    main()
