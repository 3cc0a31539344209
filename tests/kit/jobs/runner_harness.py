"""Programs for the runners' tests, and stand-ins for docker and kubectl: it owns them, no test.

The stand-ins are the exception that the style page allows: where no container can run, they take
the command line apart as the real ones do, note it, and run the container's program as a process.
What they cannot show is the isolation itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.runners import RunOutcome, RunProgress, run_program
from jobs.runners.settings import RunnerSettings

# The stand-in for docker: run, ps, rm, inspect. A container is a process whose id lies in a file,
# so that `rm --force` can end it, as the daemon would; SIGTERM is passed on, SIGKILL is not.
DOCKER = r"""#!{python}
import json, os, signal, subprocess, sys
state = os.path.join(os.path.dirname(os.path.abspath(__file__)), "containers")
os.makedirs(state, exist_ok=True)
with open(os.path.join(state, "calls.jsonl"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\n")
command, arguments = sys.argv[1], sys.argv[2:]
if command == "run":
    options, single, valued = {{}}, {{"--init"}}, []
    while arguments[0].startswith("-"):
        name = arguments.pop(0)
        options.setdefault(name, []).append("" if name in single else arguments.pop(0))
    image, argv = arguments[0], arguments[1:]
    path = os.path.join(state, options["--name"][0])
    if os.path.exists(path):
        sys.exit("the name is in use")
    environment = {{name: value if given else os.environ[name] for name, given, value in
                   (entry.partition("=") for entry in options.get("--env", []))}}
    environment["PATH"] = os.environ["PATH"]
    def limit():
        import resource
        if "--memory" in options:
            number = int(options["--memory"][0])
            resource.setrlimit(resource.RLIMIT_DATA, (number, number))
    # A daemon of its own: the container is no child of the command line.
    child = subprocess.Popen(argv, env=environment, cwd=options["--workdir"][0],
                             start_new_session=True, preexec_fn=limit)
    with open(path, "w") as file:
        file.write(str(child.pid))
    with open(path + ".label", "w") as file:
        file.write(options["--label"][0])
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    with open(path + ".ended", "w") as file:
        file.write(str(code))
    sys.exit(code if code >= 0 else 128 - code)
path = os.path.join(state, arguments[-1])
if command == "ps":
    wanted = arguments[arguments.index("--filter") + 1].removeprefix("label=")
    for name in os.listdir(state):
        label = os.path.join(state, name + ".label")
        if os.path.exists(label) and os.path.exists(os.path.join(state, name)):
            with open(label) as file:
                if file.read() == wanted:
                    print(name)
if command == "rm":
    for name in (word for word in arguments if not word.startswith("-")):
        path = os.path.join(state, name)
        if not os.path.exists(path):
            continue
        with open(path) as file:
            pid = int(file.read())
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.remove(path)
if command == "inspect" and os.path.exists(path + ".ended"):
    with open(path + ".ended") as file:
        print("OOMKilled" if file.read() == "77" else "")
"""

# The stand-in for kubectl: apply, get, logs, delete of Jobs that are processes.
KUBECTL = r"""#!{python}
import json, os, signal, subprocess, sys
state = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cluster")
os.makedirs(state, exist_ok=True)
with open(os.path.join(state, "calls.jsonl"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\n")
assert sys.argv[1] == "--namespace"
command, arguments = sys.argv[3], sys.argv[4:]

def job(name):
    return os.path.join(state, name)

def code_of(name):
    try:
        with open(os.path.join(job(name), "code")) as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return None

if command == "apply":
    document = json.load(sys.stdin)
    folder = job(document["metadata"]["name"])
    os.makedirs(folder)
    with open(os.path.join(folder, "manifest.json"), "w") as file:
        json.dump(document, file)
    container = document["spec"]["template"]["spec"]["containers"][0]
    environment = {{entry["name"]: entry["value"] for entry in container["env"]}}
    environment["PATH"] = os.environ["PATH"]
    limit = container["resources"].get("limits", {{}}).get("memory")
    # The shell notes the code; a kubelet would.
    line = '"$@"; code=$?; echo $code >"$0/code.new"; mv "$0/code.new" "$0/code"'
    if limit:
        line = "ulimit -d " + str(int(limit) // 1024) + "; " + line
    with open(os.path.join(folder, "log"), "w") as log:
        pod = subprocess.Popen(["sh", "-c", line, folder, *container["args"]], env=environment,
                               cwd=container["workingDir"], stdin=subprocess.DEVNULL, stdout=log,
                               stderr=log, start_new_session=True)
    with open(os.path.join(folder, "pid"), "w") as file:
        file.write(str(pid := pod.pid))
    pod.returncode = 0
elif command == "get" and arguments[0] == "jobs":
    key, value = arguments[arguments.index("--selector") + 1].split("=")
    for name in os.listdir(state):
        path = os.path.join(job(name), "manifest.json")
        if ".deleted." in name or not os.path.exists(path):
            continue
        with open(path) as file:
            if json.load(file)["metadata"]["labels"].get(key) == value:
                print("job.batch/" + name)
elif command == "get" and arguments[0] == "job":
    if not os.path.exists(job(arguments[1])):
        sys.exit(0 if "--ignore-not-found" in arguments else "Error from server (NotFound)")
    code = code_of(arguments[1])
    kind = "Complete" if code == 0 else "Failed"
    conditions = [] if code is None else [{{"type": kind, "status": "True", "reason": "Ended"}}]
    print(json.dumps({{"status": {{"conditions": conditions}}}}))
elif command == "get":
    name = arguments[arguments.index("--selector") + 1].removeprefix("job-name=")
    code = code_of(name)
    reason = {{0: "Completed", 77: "OOMKilled"}}.get(code, "Error")
    if arguments[-1].startswith("jsonpath"):
        print("" if code is None else reason, end="")
    else:
        ended = {{}} if code is None else {{"terminated": {{"exitCode": code, "reason": reason}}}}
        status = {{"containerStatuses": [{{"state": ended}}]}}
        print(json.dumps({{"items": [{{"status": status}}]}}))
elif command == "logs":
    with open(os.path.join(job(arguments[0].removeprefix("job/")), "log")) as file:
        sys.stdout.write(file.read())
elif command == "delete":
    for name in (word for word in arguments[1:] if not word.startswith("-")):
        folder = job(name)
        if not os.path.exists(folder):
            continue
        with open(os.path.join(folder, "pid")) as file:
            pid = int(file.read())
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.rename(folder, folder + ".deleted." + str(os.getpid()))
"""


def write_stand_ins(folder: str) -> None:
    """Put both stand-ins into a folder, for the front of PATH."""
    for name, text in (("docker", DOCKER), ("kubectl", KUBECTL)):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.format(python=sys.executable))
        os.chmod(path, 0o755)


@dataclass
class Bench:
    """Folders for one program; `run` gives its Python source to one of the runners."""

    root: str
    runner: str
    beats: list[RunProgress] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    lease_left_s: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        for folder in (self.input, self.output, self.contract):
            os.makedirs(folder)

    @property
    def input(self) -> str:
        return os.path.join(self.root, "7", "part-0")

    @property
    def output(self) -> str:
        return os.path.join(self.root, "7", "part-0.output")

    @property
    def contract(self) -> str:
        return os.path.join(self.root, "contract")

    @property
    def log_path(self) -> str:
        return os.path.join(self.root, "logs", "run.log")

    @property
    def log(self) -> str:
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def rendered(self, source: str, *arguments: str, **changes: Any) -> dict[str, Any]:
        """Return a request that runs Python source, which finds its folders in sys.argv."""
        script = os.path.join(self.contract, "program.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(source)
        argv = [script, self.input, self.output, *arguments]
        if self.runner != "python":
            argv = [sys.executable, *argv]
        container = {"image": "example:1"} if self.runner in ("docker", "k8s") else {}
        request = {
            "runner": self.runner,
            "argv": argv,
            "cwd": self.output,
            "input_root": self.input,
            "output_root": self.output,
            "contract_folder": self.contract,
            "timeout_s": 60,
            **container,
            **changes,
        }
        return json.loads(json.dumps(request))

    def run(self, source: str, *arguments: str, cancelled=lambda: False, **changes) -> RunOutcome:
        return self.run_rendered(self.rendered(source, *arguments, **changes), cancelled)

    def run_rendered(self, rendered: Any, cancelled=lambda: False) -> RunOutcome:
        limits = {"free_bytes_min": 0, "grace_s": 20, "heartbeat_s": 0.01, "k8s_poll_s": 0.05}
        return run_program(
            rendered,
            log_path=self.log_path,
            heartbeat=self.beats.append,
            cancelled=cancelled,
            lease_left_s=self.lease_left_s,
            settings=RunnerSettings.model_validate({**limits, **self.settings}),
        )


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except FileNotFoundError:
        return False
