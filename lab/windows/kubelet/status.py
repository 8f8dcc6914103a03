# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a kubelet says about its node and its pods, as documents of the API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .api import Document
from .settings import Settings

VERSION = "v1.37.2"
OS_IMAGE = "Windows Server 2022 Datacenter (stand-in of the lab)"
BUILD = "10.0.20348"
CAPACITY = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi", "pods": "110"}


def now(seconds: float | None = None) -> str:
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def node(settings: Settings) -> Document:
    """The Node that a kubelet registers."""
    labels = {
        "kubernetes.io/os": "windows",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": settings.node,
        "node.kubernetes.io/windows-build": BUILD,
        **settings.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": settings.node, "labels": labels},
        "spec": {"taints": list(settings.taints)} if settings.taints else {},
    }


def node_status(settings: Settings, not_ready: str, boot: str, since: Mapping[str, str]) -> Document:
    """The Node's status; `not_ready` is why it is not ready. `since` is when a condition last changed."""
    conditions = [
        _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "", since),
        _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "", since),
        _condition("PIDPressure", "False", "KubeletHasSufficientPID", "", since),
        _condition(
            "Ready",
            "False" if not_ready else "True",
            "KubeletNotReady" if not_ready else "KubeletReady",
            not_ready or "kubelet is posting ready status",
            since,
        ),
    ]
    return {
        "addresses": [
            {"type": "InternalIP", "address": settings.address},
            {"type": "Hostname", "address": settings.node},
        ],
        "allocatable": CAPACITY,
        "capacity": CAPACITY,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": boot,
            "containerRuntimeVersion": "docker://28.5.2" if "docker" in settings.endpoint else "containerd://2.3.7",
            "kernelVersion": f"{BUILD}.2762",
            "kubeProxyVersion": VERSION,
            "kubeletVersion": VERSION,
            "machineID": settings.node,
            "operatingSystem": "windows",
            "osImage": OS_IMAGE,
            "systemUUID": settings.node,
        },
    }


def _condition(kind: str, status: str, reason: str, message: str, since: Mapping[str, str]) -> Document:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now(),
        "lastTransitionTime": since.get(f"{kind}={status}", now()),
    }


@dataclass
class ContainerState:
    """How a container of a pod is."""

    id: str = ""
    started: float = 0.0
    restarts: int = 0
    waiting: tuple[str, str] = ("ContainerCreating", "")
    """Reason and message while it does not run."""
    exit_code: int | None = None
    """Of the last time that it ended."""
    ended: float = 0.0


@dataclass
class PodState:
    """How a pod is."""

    begun: float
    address: str = ""
    containers: dict[str, ContainerState] = field(default_factory=dict)
    failed: str = ""
    """Why its sandbox cannot be made."""


def running(state: ContainerState) -> bool:
    """Whether a container runs."""
    return bool(state.id) and not state.waiting[0]


def pod_status(pod: Document, settings: Settings, state: PodState) -> Document:
    """The status of a pod."""
    statuses = [
        _container(spec, state.containers.get(spec["name"], ContainerState())) for spec in pod["spec"]["containers"]
    ]
    ready = bool(state.address) and all(status["ready"] for status in statuses)
    begun = now(state.begun)
    readiness: dict[str, Any] = {"status": "True" if ready else "False"}
    if not ready:
        waiting = [status["name"] for status in statuses if not status["ready"]]
        readiness |= {"reason": "ContainersNotReady", "message": f"containers with unready status: {waiting}"}
    status: Document = {
        "phase": "Running" if any(item["started"] or item["restartCount"] for item in statuses) else "Pending",
        "startTime": begun,
        "hostIP": settings.address,
        "hostIPs": [{"$patch": "replace"}, {"ip": settings.address}],
        "qosClass": pod.get("status", {}).get("qosClass", "BestEffort"),
        "conditions": [
            {"type": "PodReadyToStartContainers", "status": "True" if state.address else "False"},
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", **readiness},
            {"type": "ContainersReady", **readiness},
            {"type": "PodScheduled", "status": "True"},
        ],
        "containerStatuses": statuses,
    }
    for condition in status["conditions"]:
        condition["lastTransitionTime"] = begun
        if condition["type"] == "PodReadyToStartContainers" and state.failed:
            condition |= {"reason": "FailedCreatePodSandBox", "message": state.failed}
    # A strategic merge adds to lists of addresses, unless it is told to replace them.
    addresses = [{"ip": state.address}] if state.address else []
    return status | {"podIP": state.address or None, "podIPs": [{"$patch": "replace"}, *addresses]}


def _container(spec: Document, state: ContainerState) -> Document:
    runs = running(state)
    status: Document = {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": spec["image"],
        "ready": runs,
        "started": runs,
        "restartCount": state.restarts,
        "state": {"running": {"startedAt": now(state.started)}} if runs else {"waiting": _waiting(state)},
    }
    if state.id:
        status["containerID"] = f"containerd://{state.id}"
    if state.exit_code is not None:
        ended = {"exitCode": state.exit_code, "finishedAt": now(state.ended), "startedAt": now(state.started)}
        status["lastState"] = {"terminated": {**ended, "reason": "Completed" if state.exit_code == 0 else "Error"}}
    return status


def _waiting(state: ContainerState) -> Document:
    reason, message = state.waiting
    return {"reason": reason, **({"message": message} if message else {})}
