"""Programs in a cluster: it owns the Job manifest, and who drives it.

The process that stands for the program is `jobs.runners.k8s_job`, which talks to the cluster
through kubectl. The manifest ends a Job by itself in time, should everything else be gone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from jobs.runners.docker import LABEL, attempt_name, container_environment, mounts, part_label
from jobs.runners.plan import ProcessPlan, RefusedError
from jobs.runners.request import RunRequest
from jobs.runners.settings import RunnerSettings, Volume

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRIVER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from jobs.runners import k8s_job; k8s_job.main()"
)
ENDS = "jsonpath={.items[*].status.containerStatuses[*].state.terminated.reason}"
LEFT_OVER_S = 600
"""So long the cluster keeps a Job that nobody removed."""


class K8sRunner:
    """One Job with one pod per run; failed pods are not tried again, that is the queue's work."""

    def missing(self, request: RunRequest, settings: RunnerSettings) -> str | None:
        """Return that kubectl is missing, with what to do."""
        if shutil.which(settings.kubectl_program) is None:
            return (
                f"the program {settings.kubectl_program} is not on this machine: install it, or "
                "send this action's queue to a worker that has it"
            )
        return None

    def plan(
        self, request: RunRequest, settings: RunnerSettings, environment: dict[str, str]
    ) -> ProcessPlan:
        """Run the driver with the manifest; at every end the Job is deleted."""
        kubectl = [settings.kubectl_program, "--namespace", settings.k8s_namespace]
        if settings.k8s_context:
            kubectl += ["--context", settings.k8s_context]
        name = attempt_name(request)
        orders = {
            "kubectl": kubectl,
            "name": name,
            "selector": f"{LABEL}={part_label(request)}",
            "poll_s": settings.k8s_poll_s,
            "log_bytes_max": settings.log_bytes_max,
            "manifest": manifest(request, settings),
        }
        delete = ["delete", "job", name, "--ignore-not-found", "--wait=false"]
        return ProcessPlan(
            argv=(sys.executable, "-I", "-B", "-c", DRIVER, ROOT),
            stdin=json.dumps(orders),
            environment=dict(os.environ),  # kubectl's own; the pod's is in the manifest.
            cwd="/",
            after=(
                (*kubectl, "get", "pods", "--selector", f"job-name={name}", "--output", ENDS),
                (*kubectl, *delete, "--cascade=background"),
            ),
        )


def manifest(request: RunRequest, settings: RunnerSettings) -> dict[str, Any]:
    """Return the Job for a request. Raises RefusedError when the volume does not hold its folders.

    As in `docker run`, the arguments go to the image's entry point where it has one.
    """
    volume, volume_mounts = _volumes(request, settings.k8s_volume)
    owner = os.stat(request.output_root)
    container: dict[str, Any] = {
        "name": "program",
        "image": request.image,
        "args": list(request.argv),
        "workingDir": request.cwd,
        "env": [{"name": n, "value": v} for n, v in container_environment(request).items()],
        "resources": _resources(request, settings),
        "volumeMounts": [*volume_mounts, {"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": owner.st_uid, "runAsGroup": owner.st_gid},
        "containers": [container],
        "volumes": [volume, {"name": "tmp", "emptyDir": {}}],
    }
    labels = {"app.kubernetes.io/managed-by": "drystone", LABEL: part_label(request)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": attempt_name(request), "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": max(1, round(request.timeout_s)),
            "ttlSecondsAfterFinished": LEFT_OVER_S,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _resources(request: RunRequest, settings: RunnerSettings) -> dict[str, Any]:
    limits: dict[str, str | int] = {}
    if request.memory_bytes is not None:
        limits["memory"] = str(request.memory_bytes)
    if settings.k8s_cpu:
        limits["cpu"] = settings.k8s_cpu
    if request.gpu:
        limits["nvidia.com/gpu"] = 1
    return {"limits": limits, "requests": limits} if limits else {}


def _volumes(request: RunRequest, volume: Volume) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the stage volume, and where its folders appear: under the same paths as here."""
    if volume.kind == "pvc":
        if not volume.claim:
            raise RefusedError("k8s_volume of kind pvc needs the name of a claim")
        source: dict[str, Any] = {"persistentVolumeClaim": {"claimName": volume.claim}}
    else:
        source = {"hostPath": {"path": volume.host_root or volume.root, "type": "Directory"}}
    folders: list[dict[str, Any]] = []
    for folder, read_only in mounts(request):
        below = os.path.relpath(folder, volume.root)
        if below.startswith(".."):
            raise RefusedError(f"{folder} is not below k8s_volume.root ({volume.root})")
        folders.append(
            {"name": "stage", "mountPath": folder, "subPath": below, "readOnly": read_only}
        )
    return {"name": "stage", **source}, folders
