# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How fast the watcher follows a label among many policies. `--policies N` (500), `--pods N` (5000)."""

from __future__ import annotations

import argparse
import re
import time

from watcher_stage import NODES, Objects, Stage, many, memory_mib, percentile, report, stage, wait_until

NAMESPACES = 20
APPS = 10
CHANGES = 200


def make_spaces(scene: Stage) -> list[Objects]:
    """Twenty namespaces of two kinds."""
    spaces = [scene.objects(f"policies{number}") for number in range(NAMESPACES)]
    for number, space in enumerate(spaces):
        path = f"/api/v1/namespaces/{space.namespace}"
        space.api.merge_patch(path, {"metadata": {"labels": {"half": str(number % 2)}}})
    return spaces


def make_policy(spaces: list[Objects], number: int) -> None:
    """A policy; the first of each namespace isolates everything."""
    space = spaces[number % NAMESPACES]
    kind = number // NAMESPACES
    peers = [{"podSelector": _app(kind + 1)}, {"namespaceSelector": {"matchLabels": {"half": str(kind % 2)}}}]
    spec = {"podSelector": _app(kind) if kind else {}, "policyTypes": ["Ingress", "Egress"]}
    if kind:
        ports = [{"port": 80}, {"port": "http"}]
        spec |= {"ingress": [{"from": peers[: 1 + kind % 2], "ports": ports}], "egress": [{"to": peers[:1]}]}
    space.api.create(space.path("networkpolicies"), {"metadata": {"name": f"policy{number}"}, "spec": spec})


def make_pod(spaces: list[Objects], number: int) -> None:
    """A pod with a label and a named port."""
    space = spaces[number % NAMESPACES]
    ports = [{"name": "http", "containerPort": 8080}]
    spec = {
        "nodeName": f"node{number % NODES}",
        "containers": [{"name": "main", "image": "example/none:1", "ports": ports}],
    }
    metadata = {"name": f"p{number}", "labels": {"app": str(number // NAMESPACES % APPS)}}
    space.api.create(space.path("pods"), {"metadata": metadata, "spec": spec})


def populate(scene: Stage, policies: int, pods: int) -> None:
    """Pods and policies of twenty namespaces, present when the watcher starts with an empty database."""
    spaces = make_spaces(scene)
    many(pods, lambda number: make_pod(spaces, number))
    many(policies, lambda number: make_policy(spaces, number))
    started = time.monotonic()
    scene.watcher.start(ready=False)
    scene.watcher.wait_ready(300)
    report("watcher_policies_from_nothing_s", time.monotonic() - started, "s")
    report("watcher_policies_acls", scene.count("ACL"), "rows")
    report("watcher_rss_policies_mib", memory_mib(scene.watcher.pid), "MiB")


def label_changes(scene: Stage, pods: int) -> None:
    """From the arrival of a pod's new label to the commit of all that it changes, as the watcher's log has it."""
    wait_until(lambda: scene.watcher.metric("ovn_k8s_watcher_annotations_pending") == 0, 600, step=1)
    begin = scene.watcher.log.stat().st_size
    for number in range(CHANGES):
        pod = number * 37 % pods
        path = f"/api/v1/namespaces/policies{pod % NAMESPACES}/pods/p{pod}"
        app = str((pod // NAMESPACES + 1 + number % 5) % APPS)
        scene.plane.api.merge_patch(path, {"metadata": {"labels": {"app": app}}})
        time.sleep(0.05)
    pattern = re.compile(r"object=(?:policy|peers)/\S+ ms=([0-9.]+)")
    time.sleep(2)
    latencies = [float(found) for found in pattern.findall(scene.watcher.log.read_bytes()[begin:].decode())]
    report("watcher_policy_label_change_rows", len(latencies) / CHANGES, "objects per change")
    report("watcher_policy_label_change_p50_ms", percentile(latencies, 50), "ms")
    report("watcher_policy_label_change_p99_ms", percentile(latencies, 99), "ms")


def _app(number: int) -> dict[str, dict[str, str]]:
    return {"matchLabels": {"app": str(number % APPS)}}


def main() -> None:
    """Run all, on one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=500)
    parser.add_argument("--pods", type=int, default=5000)
    options = parser.parse_args()
    with stage() as scene:
        populate(scene, options.policies, options.pods)
        label_changes(scene, options.pods)


if __name__ == "__main__":
    main()
