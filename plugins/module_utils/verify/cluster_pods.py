# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The pods of the verification: started in a namespace of their own, asked by `kubectl exec`, and removed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .expectations import Pod
from .results import FAILED, OK, Result

LABEL = "ovn-k8s.io/verify"
PER_NODE = 2
GRACE_PERIOD_S = 1


class KubectlError(Exception):
    """kubectl failed; the message is what it said."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig. All calls end within `timeout` seconds."""

    path: str
    kubeconfig: str
    timeout: float = 60

    def run(self, *arguments: str, data: str = "", check: bool = True) -> str:
        """The standard output. Raises KubectlError."""
        command = [self.path, f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(
                command, input=data, capture_output=True, text=True, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {arguments[0]} gave no answer in {self.timeout:.0f} s") from error
        except OSError as error:
            raise KubectlError(f"{self.path} cannot be run: {error}") from error
        if check and done.returncode:
            raise KubectlError((done.stderr or done.stdout).strip()[-600:])
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """The answer of a `get`, decoded."""
        return json.loads(self.run("get", *arguments, "--output=json"))


def pod_name(node: str, number: int) -> str:
    """verify-<node>-<number>, short enough to be a host name."""
    return f"verify-{node.replace('.', '-')[:50].rstrip('-')}-{number + 1}"


@dataclass(frozen=True)
class Workers:
    """The nodes that get pods, and the images of these."""

    linux: Sequence[str]
    image: str
    windows: Sequence[str] = ()
    windows_image: str = ""
    overlay: Sequence[str] = ()
    """Which of those with Windows are of the hybrid overlay."""

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.linux, *self.windows]


def manifests(namespace: str, workers: Workers, port: int) -> list[dict[str, Any]]:
    """The namespace, an identity without any right, two pods on every node, and a service of them all at the nodes."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "verify", "namespace": namespace},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "verify", "namespace": namespace},
            "spec": {
                "type": "NodePort",
                "selector": {LABEL: "true"},
                "ports": [{"name": name, "protocol": name.upper(), "port": port} for name in ("tcp", "udp")],
            },
        },
    ]
    for node in workers.linux:
        objects += [_pod(namespace, node, number, workers.image, port) for number in range(PER_NODE)]
    for node in workers.windows:
        pods = [_pod(namespace, node, number, workers.windows_image, port) for number in range(PER_NODE)]
        objects += [_for_windows(pod) for pod in pods]
    return objects


def _for_windows(pod: dict[str, Any]) -> dict[str, Any]:
    """Without what the API server refuses in a pod for Windows."""
    spec = pod["spec"]
    spec["os"] = {"name": "windows"}
    spec["securityContext"] = {"runAsNonRoot": True}
    for container in spec["containers"]:
        del container["securityContext"]
    return pod


def _pod(namespace: str, node: str, number: int, image: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(node, number),
            "namespace": namespace,
            "labels": {LABEL: "true"},
            "annotations": {"ovn-k8s.io/verify-number": str(number)},
        },
        "spec": {
            "serviceAccountName": "verify",
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"operator": "Exists"}],
            "enableServiceLinks": False,
            "dnsPolicy": "Default",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": GRACE_PERIOD_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "netcheck",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["serve", "--port", str(port)],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def leftovers(kubectl: Kubectl, older_than: float = 900) -> list[str]:
    """Namespaces of verifications that were interrupted more than so many seconds ago."""
    found = kubectl.read("namespaces", f"--selector={LABEL}=true").get("items", [])
    now = time.time()
    names = []
    for item in found:
        created = item["metadata"].get("creationTimestamp", "")
        begun = time.mktime(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone if created else 0.0
        if now - begun > older_than:
            names.append(str(item["metadata"]["name"]))
    return names


def start(
    kubectl: Kubectl, namespace: str, workers: Workers, port: int, timeout: float
) -> tuple[list[Pod], list[Pod], list[Result]]:
    """Start the pods and wait for them. Returns those that run, those that do not, and a line for each."""
    begun = time.monotonic()
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests(namespace, workers, port)}
    kubectl.run("create", "--filename=-", data=json.dumps(listed))
    ready_after: dict[str, float] = {}
    while True:
        items = kubectl.read("pods", f"--namespace={namespace}")["items"]
        passed = time.monotonic() - begun
        for item in items:
            if is_ready(item):
                ready_after.setdefault(item["metadata"]["name"], passed)
        if len(ready_after) == len(workers.names) * PER_NODE or passed > timeout:
            break
        time.sleep(0.3)
    pods, waiting, results = [], [], []
    events = {} if len(ready_after) == len(items) else last_events(kubectl, namespace)
    for item in sorted(items, key=lambda entry: str(entry["metadata"]["name"])):
        name = item["metadata"]["name"]
        node = item["spec"]["nodeSelector"]["kubernetes.io/hostname"]
        windows = node in workers.windows
        number = int(item["metadata"]["annotations"]["ovn-k8s.io/verify-number"])
        if name in ready_after:
            address = item["status"]["podIP"]
            pod = Pod(name, node, address, number, windows, node in workers.overlay)
            pods.append(pod)
            results.append(Result("pod starts", node, pod.label, OK, address, milliseconds=1000 * ready_after[name]))
        else:
            why = f"not ready after {timeout:.0f} s: {trouble(item)}"
            if events.get(name):
                why += f"; {events[name]}"
            hint = f"on {node}: journalctl -u kubelet -u containerd -u ovn-k8s-node; on the master: -u ovn-k8s-watcher"
            if windows:
                hint = f"on {node}: C:\\ProgramData\\ovn-k8s\\log\\ovn-k8s.log and the logs of kubelet and runtime"
            pod = Pod(name, node, "", number, windows, node in workers.overlay)
            waiting.append(pod)
            results.append(Result("pod starts", node, pod.label, FAILED, why, hint))
    return pods, waiting, results


def service_ports(kubectl: Kubectl, namespace: str) -> dict[str, int]:
    """The node port of each protocol. Raises KubectlError."""
    ports = kubectl.read("service", "verify", f"--namespace={namespace}")["spec"]["ports"]
    return {port["name"]: int(port["nodePort"]) for port in ports}


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod runs and has its address."""
    conditions = {item["type"]: item["status"] for item in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and bool(pod["status"].get("podIP"))


def trouble(pod: Mapping[str, Any]) -> str:
    """Why a pod is not ready, in the words of its status."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"{waiting['reason']} {waiting.get('message', '')}".strip()[:200]
    for condition in status.get("conditions", []):
        if condition["status"] != "True" and condition.get("message"):
            return str(condition["message"])[:200]
    return str(status.get("phase", "unknown"))


def plain(message: str) -> str:
    """A kubelet's event without the wrapping of its calls and without identifiers."""
    message = re.sub(r'^.*failed to setup network for sandbox "[0-9a-f]+": ', "network: ", message, flags=re.DOTALL)
    return re.sub(r"rpc error: code = \w+ desc = ", "", message)[:300]


def last_events(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """Pod name -> the last warning about it; empty when kubectl cannot tell."""
    try:
        items = kubectl.read("events", f"--namespace={namespace}", "--field-selector=type=Warning")["items"]
    except (KubectlError, ValueError):
        return {}
    items.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    return {item["involvedObject"]["name"]: plain(str(item.get("message", ""))) for item in items}


def ask(kubectl: Kubectl, namespace: str, pod: str, commands: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
    """The results of netcheck's commands in a pod, in their order; None for one that gave none.

    Raises KubectlError when the pod cannot be asked at all.
    """
    lines = "".join(json.dumps(list(command)) + "\n" for command in commands)
    out = kubectl.run("exec", "--stdin", f"--namespace={namespace}", pod, "--", "netcheck", "batch", data=lines)
    found: list[dict[str, Any] | None] = [None] * len(commands)
    for line in out.splitlines():
        entry = json.loads(line)
        found[entry["index"]] = entry.get("result") or {"ok": False, "error": entry.get("error", "")}
    return found


def ask_all(
    kubectl: Kubectl, namespace: str, commands: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, list[dict[str, Any] | None] | str]:
    """Ask several pods at once: pod -> results, or the reason why it could not be asked."""

    def one(pod: str) -> list[dict[str, Any] | None] | str:
        try:
            return ask(kubectl, namespace, pod, commands[pod])
        except (KubectlError, ValueError, KeyError) as error:
            return str(error)

    asked = [pod for pod in commands if commands[pod]]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(asked, pool.map(one, asked), strict=True))


def stop(kubectl: Kubectl, namespace: str, timeout: float) -> bool:
    """Remove the namespace with everything in it. True when it was gone in time (it goes in any case)."""
    kubectl.run("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
    deadline = time.monotonic() + timeout
    while kubectl.run("get", "namespace", namespace, "--ignore-not-found", "--output=name").strip():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
