"""What docker and kubectl are told; the stand-ins of runner_harness note it."""

from __future__ import annotations

import json
import os

import pytest
from runner_harness import Bench, write_stand_ins


@pytest.fixture
def make(tmp_path, monkeypatch):
    write_stand_ins(str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    return lambda runner, name="area": Bench(str(tmp_path / name), runner)


def calls(tmp_path, folder: str) -> list[list[str]]:
    with open(tmp_path / folder / "calls.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_docker_isolates_the_program(make, tmp_path):
    bench = make("docker")
    model = str(tmp_path / "model.onnx")
    given = {"memory_bytes": 512 << 20, "gpu": True, "model_files": (model,)}
    assert bench.run("pass", **given, environment_set={"DRYSTONE_PART": "7"}).state == "done"
    before, run, inspect, after = calls(tmp_path, "containers")
    assert [before[0], run[0], inspect[0], after[0]] == ["ps", "run", "inspect", "rm"]
    line = " ".join(run)
    assert "label=" + run[run.index("--label") + 1] in before
    assert run[run.index("--name") + 1] in after
    owner = os.stat(bench.output)
    for part in (
        "--network none",
        f"--user {owner.st_uid}:{owner.st_gid}",
        "--cap-drop ALL",
        "no-new-privileges",
        f"--memory {512 << 20}",
        f"--memory-swap {512 << 20}",
        "--gpus all",
        f"type=bind,source={bench.input},target={bench.input},readonly",
        f"type=bind,source={bench.output},target={bench.output} ",
        f"type=bind,source={bench.contract},target={bench.contract},readonly",
        f"type=bind,source={model},target={model},readonly",
        "--env DRYSTONE_PART=7",
        f"--workdir {bench.output}",
    ):
        assert part in line
    assert "secret" not in line


def test_docker_memory_is_told(make):
    outcome = make("docker").run("raise SystemExit(77)", memory_bytes=64 << 20)
    assert (outcome.state, outcome.cause) == ("failed", "memory")


def test_a_container_of_a_killed_attempt_is_removed_first(make, tmp_path):
    bench = make("docker")
    assert bench.run("pass").state == "done"
    run = calls(tmp_path, "containers")[1]
    with open(tmp_path / "containers" / run[run.index("--name") + 1], "w") as file:
        file.write(str(1 << 30))  # No such process.
    assert bench.run("pass", attempt=2).state == "done", bench.log
    removed = calls(tmp_path, "containers")[5]
    assert (removed[0], removed[-1]) == ("rm", run[run.index("--name") + 1])


def test_docker_cannot_mount_a_comma(make):
    outcome = make("docker", "with,comma").run("pass")
    assert (outcome.state, outcome.cause) == ("failed", "refused")
    assert "comma" in outcome.reason


@pytest.mark.parametrize("runner", ["docker", "k8s"])
def test_without_its_program_a_runner_says_so(make, runner: str):
    bench = make(runner)
    bench.settings |= {"docker_program": "no-docker", "kubectl_program": "no-kubectl"}
    outcome = bench.run("pass")
    assert (outcome.state, outcome.cause) == ("failed", "missing")
    assert "is not on this machine" in outcome.reason


def manifest(tmp_path) -> dict:
    (folder,) = [name for name in os.listdir(tmp_path / "cluster") if ".deleted." in name]
    with open(tmp_path / "cluster" / folder / "manifest.json", encoding="utf-8") as file:
        return json.load(file)


def test_the_manifest_of_a_job(make, tmp_path):
    bench = make("k8s")
    bench.settings |= {
        "k8s_namespace": "media",
        "k8s_volume": {"kind": "hostPath", "root": bench.root, "host_root": "/mnt/stage"},
    }
    told = {"environment_set": {"DRYSTONE_RUN_ID": "31"}}
    outcome = bench.run("pass", memory_bytes=512 << 20, gpu=True, timeout_s=90, **told)
    assert outcome.state == "done", bench.log
    document = manifest(tmp_path)
    spec = document["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 90)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == os.stat(bench.output).st_uid
    assert pod["volumes"][0]["hostPath"] == {"path": "/mnt/stage", "type": "Directory"}
    container = pod["containers"][0]
    assert {"name": "DRYSTONE_RUN_ID", "value": "31"} in container["env"]
    assert container["resources"]["limits"] == {
        "memory": str(512 << 20),
        "nvidia.com/gpu": 1,
    }
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts[bench.input]["readOnly"] and not mounts[bench.output]["readOnly"]
    assert mounts[bench.output]["subPath"] == "7/part-0.output"
    assert "secret" not in json.dumps(document)
    commands = [call[2] for call in calls(tmp_path, "cluster")]
    assert all(call[1] == "media" for call in calls(tmp_path, "cluster"))
    assert (commands[0], commands[1], commands[-1]) == ("get", "apply", "delete")


def test_a_claim_as_volume(make, tmp_path):
    bench = make("k8s")
    volume = {"kind": "pvc", "root": bench.root, "claim": "stage"}
    bench.settings["k8s_volume"] = volume
    assert bench.run("pass").state == "done"
    volumes = manifest(tmp_path)["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "stage"}


@pytest.mark.parametrize(
    ("volume", "words"),
    [({"kind": "pvc"}, "claim"), ({"root": "/somewhere/else"}, "not below k8s_volume.root")],
)
def test_a_volume_that_cannot_hold_the_folders_is_refused(make, volume, words: str):
    bench = make("k8s")
    bench.settings["k8s_volume"] = volume
    outcome = bench.run("pass")
    assert (outcome.state, outcome.cause) == ("failed", "refused")
    assert words in outcome.reason


def test_a_pod_that_was_killed_for_memory(make):
    outcome = make("k8s").run("raise SystemExit(77)", memory_bytes=1 << 30)
    assert (outcome.state, outcome.cause) == ("failed", "memory")


def test_an_api_server_that_refuses(make, tmp_path):
    bench = make("k8s")
    with open(tmp_path / "kubectl", "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho 'connection refused' >&2\nexit 1\n")
    outcome = bench.run("pass")
    assert (outcome.state, outcome.cause) == ("failed", "exit")
    assert "connection refused" in bench.log
