# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How long 60 pods that are created at once over two nodes take until they are ready, in the running lab.

From the start of the `kubectl create` that makes them all to the moment at which a watch reports each one ready: the
API server, scheduler, kubelet, containerd and the network together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TREE = Path(__file__).parents[2]
NAMESPACE = "pod-ready-bench"
PODS = 60
LIMIT_S = 180.0
READY = '{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}'
KUBECTL = (sys.executable, "-m", "lab", "exec", "--", "kubectl")


def kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run((*KUBECTL, *words), cwd=TREE, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"kubectl {' '.join(words)}: {done.stderr}")
    return done.stdout


def pod(number: int, nodes: list[str]) -> dict[str, Any]:
    container = {"name": "c", "image": "localhost/netcheck:1", "imagePullPolicy": "IfNotPresent", "args": ["serve"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": NAMESPACE},
        "spec": {
            "nodeName": nodes[number % len(nodes)],
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def measure(nodes: list[str]) -> list[float]:
    """Seconds from the create to ready, of each pod."""
    pods = {"apiVersion": "v1", "kind": "List", "items": [pod(number, nodes) for number in range(PODS)]}
    watch = [*KUBECTL, "-n", NAMESPACE, "get", "pods", "--watch", "-o", f"jsonpath={READY}"]
    with subprocess.Popen(watch, cwd=TREE, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        try:
            started = time.monotonic()
            kubectl("create", "-f", "-", stdin=json.dumps(pods))
            ready: dict[str, float] = {}
            for line in watching.stdout:
                name, _, status = line.strip().partition(" ")
                if status == "True":
                    ready.setdefault(name, time.monotonic() - started)
                if len(ready) == PODS:
                    return sorted(ready.values())
                if time.monotonic() - started > LIMIT_S:
                    break
        finally:
            watching.terminate()
    sys.exit(f"{len(ready)} of {PODS} pods became ready within {LIMIT_S:g} s")


def main() -> int:
    nodes = kubectl("get", "nodes", "-o", "name").replace("node/", "").split()
    kubectl("create", "namespace", NAMESPACE)
    try:
        seconds = measure(nodes[:2])
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=true")
    for share in (50, 99):
        value = seconds[min(len(seconds) - 1, len(seconds) * share // 100)]
        print(json.dumps({"name": f"pod_ready_p{share}_s", "value": round(value, 2), "unit": "s"}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
