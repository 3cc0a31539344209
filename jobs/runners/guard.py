"""The guard: the process between a worker and a program. It owns the program's life.

It starts the program in a session of its own, adopts whatever that leaves behind, keeps its words,
watches time, memory, written bytes and free space, and kills everything when a limit is passed,
when it is told to, or when the worker is gone: the pipe to the worker ends then, also after a
`kill -9`. A parent of its own does the same when the guard is killed itself, and lets it go on when
it is stopped. So no program writes on beside the next attempt.

Talks lines: one JSON document with all orders comes in, which says until when the work is ours,
then `lease UNTIL` now and then (a worker that is frozen says nothing, and its task is soon somebody
else's) and `stop` (with a grace) at most once; JSON documents `progress` and one `ended` go out.
Standard library only; never touches the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

from base.processes import descendants
from jobs.runners import written
from jobs.runners.program_log import ProgramLog

TICK_S = 0.1
PROGRESS_S = 0.5
READ_BYTES = 1 << 16
READS_MAX = 256
COMMAND_S = 60.0
"""For each command before and after the program."""
COMPLAINT_LENGTH_MAX = 300
MEASURE_S = 0.25
MEASURE_SHARE = 10
"""After a measurement it rests so long, or so many times as long as that took."""
OOM_SCORE = 500
DATA_SCALE = 2
"""One process may ask for so many times the memory limit before the kernel itself refuses."""


class Guard:
    """One program from start to end. `orders` is the document from the worker."""

    def __init__(self, orders: dict[str, Any], said: bytes = b"") -> None:
        self.orders = orders
        self._said = said
        self._lease_until_s: float | None = orders["lease_until_s"]
        self.log = ProgramLog(orders["log_path"], orders["log_bytes_max"])
        self.started = time.monotonic()
        self.pid = 0
        self.status: int | None = None
        self.cause: str | None = None
        self.reason = ""
        self.kill_at: float | None = None
        self.memory_bytes = self.memory_bytes_peak = 0
        self.written = written.Written()
        self._measure_at = self._progress_at = 0.0
        self._pipe = self._woken = -1
        self._selector = selectors.DefaultSelector()

    def run(self) -> dict[str, Any]:
        """Run the program to its end; returns the last message to the worker."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self._obey(b"")
        if self._is_stopped() or self._sweep() or self._is_stopped():
            return self._ended(self.cause or "", self.reason)
        try:
            self._start()
        except OSError as error:
            return self._ended("missing", f"cannot start {self.orders['argv'][0]}: {error}")
        while self.status is None and not self._in_vain():
            self._tick()
        self._take(descendants.kill_all(os.getpid()))
        self._read_pipe(to_the_end=True)
        said = self._commands_after()
        self._check_sizes()
        if left := descendants.descendants(os.getpid()):
            reason = f"{len(left)} processes of the program cannot be killed"
            return self._ended("guard", reason, said)
        return self._ended(self.cause or "", self.reason, said)

    def _in_vain(self) -> bool:
        """Whether the program hangs in the kernel, where no signal reaches it."""
        return self.kill_at is not None and time.monotonic() > self.kill_at + descendants.KILL_S

    def _is_stopped(self) -> bool:
        """Whether it is not to be started any more; hears all that was said until now."""
        while self.cause is None and self._selector.select(0):
            self._read_orders()
        self._watch_lease()
        return self.cause is not None

    def _wake_at_child_s_end(self) -> None:
        self._woken, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _start(self) -> None:
        self._wake_at_child_s_end()
        self._pipe, program_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        words = os.memfd_create("stdin")
        try:
            with open(words, "wb", closefd=False) as file:
                file.write(self.orders["stdin"].encode())
            os.lseek(words, 0, os.SEEK_SET)
            program = subprocess.Popen(
                self.orders["argv"],
                env=self.orders["environment"],
                cwd=self.orders["cwd"],
                stdin=words,
                stdout=program_end,
                stderr=program_end,
                start_new_session=True,
                preexec_fn=self._in_child,
            )
        except subprocess.SubprocessError as error:  # From `_in_child`.
            raise OSError(str(error)) from error
        finally:
            os.close(words)
            os.close(program_end)
        self.pid = program.pid
        self.say(event="started", pid=self.pid)
        program.returncode = 0  # Its status is taken by `reap`, with those of all others.
        self._selector.register(self._pipe, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def _in_child(self) -> None:
        descendants.die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # When the machine has no memory left, the program goes, not the worker or the engine.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
        memory_bytes, file_bytes = self.orders["memory_bytes"], self.orders["file_bytes_max"]
        if memory_bytes is not None:
            # Against what grows faster than the watch looks. Not RLIMIT_AS: CUDA and others reserve
            # far more addresses than they use.
            limit = memory_bytes * DATA_SCALE
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    def _tick(self) -> None:
        for key, _ in self._selector.select(TICK_S):
            if key.fd == self._pipe:
                self._read_pipe()
            elif key.fd == self._woken:
                os.read(self._woken, READ_BYTES)
            else:
                self._read_orders()
        self._take(descendants.reap())
        self._watch()
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            self._take(descendants.kill_all(os.getpid(), within_s=0))
        if now >= self._progress_at:
            self._progress_at = now + PROGRESS_S
            self.say(event="progress", **self._figures())

    def _take(self, ended: dict[int, int]) -> None:
        self.status = ended.get(self.pid, self.status)

    def _read_pipe(self, *, to_the_end: bool = False) -> None:
        """Take what the program said: one portion, or all that is there."""
        with contextlib.suppress(BlockingIOError):
            # Bounded, should something that is no descendant hold the other end and go on talking.
            for _ in range(READS_MAX if to_the_end else 1):
                data = os.read(self._pipe, READ_BYTES)
                if not data:
                    break
                self.log.write(data)
            else:
                return
            # Closed by the program, which may well go on.
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._pipe)

    def _read_orders(self) -> None:
        data = os.read(sys.stdin.fileno(), READ_BYTES)
        if data:
            self._obey(data)
            return
        # The worker is gone: nobody waits for a soft end, and the next attempt may begin.
        self._selector.unregister(sys.stdin.fileno())
        self.stop("cancelled", "the worker is gone", 0.0)

    def _obey(self, data: bytes) -> None:
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"lease":
                self._lease_until_s = float(number)
            elif word == b"stop":
                self.stop("cancelled", "cancelled", self.orders["grace_s"])

    def _watch_lease(self) -> None:
        if self._lease_until_s is not None and _boot_s() > self._lease_until_s:
            self.stop("lease", "its worker was not heard of for the time of its lease", 0.0)

    def _watch(self) -> None:
        now = time.monotonic()
        self._watch_lease()
        if now - self.started > self.orders["timeout_s"]:
            limit = f"{self.orders['timeout_s']:g} s"
            self.stop("timeout", f"not done after {limit} (timeout_s)", self.orders["grace_s"])
        try:
            free_bytes = min(written.free_bytes(folder) for folder in self.orders["watched"])
        except OSError as error:
            self.stop("guard", f"the output folder cannot be seen any more: {error}", 0.0)
            return
        if free_bytes < self.orders["free_bytes_min"]:
            self.stop("free_space", f"only {free_bytes} bytes are free where it writes", 0.0)
        if now >= self._measure_at:
            self._check_sizes()
            took_s = time.monotonic() - now
            self._measure_at = time.monotonic() + max(MEASURE_S, MEASURE_SHARE * took_s)

    def _check_sizes(self) -> None:
        """Measure, and stop the program (or refuse what it has done) above a limit."""
        self._measure()
        limit_bytes = self.orders["output_bytes_max"]
        if limit_bytes is not None and self.written.size_bytes > limit_bytes:
            self.stop("output_bytes", f"more than {limit_bytes} bytes of output", 0.0)
        limit_bytes = self.orders["memory_bytes"]
        if limit_bytes is not None and self.memory_bytes > limit_bytes:
            self.stop("memory", f"more than {limit_bytes} bytes of memory", 0.0)

    def _measure(self) -> None:
        self.written = written.measure(self.orders["output_root"], self.orders["output_bytes_max"])
        pids = descendants.descendants(os.getpid())
        self.memory_bytes = descendants.memory_bytes(pids, self.orders["memory_bytes"])
        self.memory_bytes_peak = max(self.memory_bytes_peak, self.memory_bytes)

    def stop(self, cause: str, reason: str, grace_s: float) -> None:
        """End the program: at once, or SIGTERM now and SIGKILL after the grace. The first counts.

        A second call may only shorten the grace: the worker can die while a program ends softly.
        """
        kill_at = time.monotonic() + grace_s
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        if self.cause is not None:
            return
        self.cause, self.reason = cause, reason
        if self.pid and grace_s > 0:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)

    def _sweep(self) -> bool:
        """Remove what earlier attempts left; True when that cannot be done, which is the end."""
        sweep = self.orders["sweep"]
        if sweep is None:
            return False
        well, said = self._command(sweep["find"])
        older = [name for name in said.split() if name <= sweep["name"]]
        if well and older:
            well, said = self._command([*sweep["remove"], *older])
        if not well:
            complaint = said.strip()[:COMPLAINT_LENGTH_MAX]
            self.stop("guard", f"earlier attempts cannot be ended: {complaint}", 0.0)
        return not well

    def _commands_after(self) -> str:
        """Run the commands after the program; returns what they wrote."""
        results = [self._command(argv) for argv in self.orders["after"]]
        return "".join(said for well, said in results if well)

    def _command(self, argv: list[str]) -> tuple[bool, str]:
        """Run a command; returns whether it went well, and what it wrote, or its complaint."""
        try:
            result = subprocess.run(
                argv,
                env=self.orders["command_environment"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.log.write(f"[drystone: {argv[0]}: {error}]\n".encode())
            return False, str(error)
        well = result.returncode == 0
        return well, (result.stdout if well else result.stderr)[:READ_BYTES].decode(
            errors="replace"
        )

    def _figures(self) -> dict[str, Any]:
        return {
            "duration_s": time.monotonic() - self.started,
            "output_bytes": self.written.size_bytes,
            "output_files": self.written.files,
            "memory_bytes": self.memory_bytes,
            "log_bytes": self.log.said_bytes,
        }

    def _ended(self, cause: str, reason: str, said: str = "") -> dict[str, Any]:
        code = None if self.status is None else os.waitstatus_to_exitcode(self.status)
        self.log.close(f"\n[drystone: {reason}]\n".encode() if reason else b"")
        return {
            "event": "ended",
            "cause": cause,
            "reason": reason,
            "exit_code": code,
            "started": self.pid != 0,
            "said": said,
            "memory_bytes_peak": self.memory_bytes_peak,
            **self._figures(),
        }

    def say(self, **message: Any) -> None:
        """Send the worker one line."""
        # A worker that is gone is noticed by its other pipe. One that is held up does not read, and
        # must not hold up the guard: all but the last line may be lost.
        os.set_blocking(sys.stdout.fileno(), message["event"] == "ended")
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


def _boot_s() -> float:
    """A clock that all processes share, and that goes on while the machine sleeps: the lease's."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read_orders() -> tuple[dict[str, Any], bytes]:
    """Return the orders, and what the worker has already said behind them."""
    data = b""
    while b"\n" not in data:
        portion = os.read(sys.stdin.fileno(), READ_BYTES)
        if not portion:
            sys.exit("the worker is gone before it gave orders")
        data += portion
    line, _, rest = data.partition(b"\n")
    return json.loads(line), rest


def _outlived() -> None:
    """Go on in a child; the parent only waits, to kill what a guard leaves behind that is killed.

    Without it, what a program sent into another session would belong to nobody then.
    """
    descendants.become_subreaper()
    guard_pid = os.fork()
    if guard_pid == 0:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # The guard itself ends in time.
    # The end of the guard's pipe is its death, and nothing but it.
    os.close(sys.stdin.fileno())
    os.close(sys.stdout.fileno())
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WUNTRACED)
            if pid == guard_pid and not os.WIFSTOPPED(status):
                break
            if pid == guard_pid:
                # A guard that is stopped keeps no limit and no lease; it is not for pausing.
                os.kill(guard_pid, signal.SIGCONT)
    descendants.kill_all(os.getpid())
    os._exit(0)


def main() -> None:
    """Read the orders, run the program, say how it ended."""
    _outlived()
    descendants.become_subreaper()
    guard = Guard(*_read_orders())
    grace_s = guard.orders["grace_s"]

    def go_down(number: int, frame: object) -> None:
        # Not a cancel: nobody asked for one, and the task is to be done again.
        guard.stop("guard", "the machine goes down", grace_s)

    signal.signal(signal.SIGTERM, go_down)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        ended = guard.run()
    finally:
        descendants.kill_all(os.getpid())
    guard.say(**ended)


if __name__ == "__main__":
    main()
