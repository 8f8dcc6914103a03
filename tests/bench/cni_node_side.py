# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Runs on a node, alone (it is sent there as text): calls the CNI executable for one pod after the other.

Reads {"command": [executable], "config": {…}, "pods": [{"namespace", "name", "uid"}], "enter": namespace path or ""}
from the first argument and prints {"add_ms": […], "del_ms": […]}. Each pod is a network namespace of its own, which is
removed again.
"""

import json
import os
import subprocess
import sys
import time
import uuid


def call(task, verb, pod, container, netns):
    """One call; its duration in milliseconds."""
    environment = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": netns,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
        "CNI_ARGS": f"K8S_POD_NAMESPACE={pod['namespace']};K8S_POD_NAME={pod['name']};K8S_POD_UID={pod['uid']}",
    }
    begun = time.monotonic()
    done = subprocess.run(
        task["command"], env=environment, input=json.dumps(task["config"]), capture_output=True, text=True, check=False
    )
    duration = (time.monotonic() - begun) * 1000
    if done.returncode:
        sys.exit(f"{verb} {pod['name']}: {done.stdout or done.stderr}")
    return duration


def main():
    task = json.loads(sys.argv[1])
    durations = {"add_ms": [], "del_ms": []}
    for pod in task["pods"]:
        container = uuid.uuid4().hex
        name = f"bench-{container[:8]}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            durations["add_ms"].append(call(task, "ADD", pod, container, f"/run/netns/{name}"))
            durations["del_ms"].append(call(task, "DEL", pod, container, f"/run/netns/{name}"))
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True)
    print(json.dumps(durations))


if __name__ == "__main__":
    main()
