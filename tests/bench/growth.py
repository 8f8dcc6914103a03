# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How the watcher's cost grows with pods, services and policies. JSON lines, for `plot.py`.

Sizes are lists: `--pods 100,1000 --services 100 --policies ""`. A policy comes with ten pods; with fewer than 60
policies none of them names labels.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable

from watcher_policies import APPS, NAMESPACES, make_pod, make_policy, make_spaces
from watcher_services import TARGET, make_service
from watcher_stage import NODES, Stage, cpu_seconds, many, memory_mib, percentile, slice_document, stage, wait_until

CHANGES = 100
WAIT_S = 900
PENDING = "ovn_k8s_watcher_annotations_pending"


def tell(kind: str, count: int, figure: str, value: float, unit: str) -> None:
    """Print one figure at one size."""
    line = {"name": "growth", "kind": kind, "count": count, "figure": figure, "value": round(value, 3), "unit": unit}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def starts(scene: Stage, kind: str, count: int) -> None:
    """Into an empty database, and again when it is right already; leaves the watcher running."""
    for figure, fresh in (("first start", True), ("restart", False)):
        scene.watcher.stop()
        if fresh:
            scene.new_database()
        begun = time.monotonic()
        scene.watcher.start(ready=False)
        scene.watcher.wait_ready(WAIT_S)
        tell(kind, count, figure, time.monotonic() - begun, "s")
        wait_until(lambda: scene.watcher.metric(PENDING) == 0, WAIT_S, 0.2)
    tell(kind, count, "memory", memory_mib(scene.watcher.pid), "MiB")


def changes(scene: Stage, kind: str, count: int, change: Callable[[int], object], pattern: str) -> None:
    """From the arrival of an event to the commit, as the watcher's log has it, and what it costs the processor."""
    begin, cpu = scene.watcher.log.stat().st_size, cpu_seconds(scene.watcher.pid)
    for number in range(CHANGES):
        change(number)
        time.sleep(0.03)
    time.sleep(1)
    text = scene.watcher.log.read_bytes()[begin:].decode()
    found = [float(value) for value in re.findall(pattern + r" ms=([0-9.]+)", text)]
    if not found:
        sys.exit(f"no change of {kind} was seen")
    tell(kind, count, "change, median", percentile(found, 50), "ms")
    tell(kind, count, "change, 99th percentile", percentile(found, 99), "ms")
    tell(kind, count, "processor per change", (cpu_seconds(scene.watcher.pid) - cpu) / CHANGES * 1000, "ms")


def pods(sizes: list[int]) -> None:
    """A pod that comes, among the others."""
    with stage() as scene:
        objects = scene.objects("growth")
        present = 0
        for size in sizes:
            first = present
            many(size - first, lambda number: objects.pod(f"p{first + number}", f"node{number % NODES}"))  # noqa: B023
            present = size
            starts(scene, "pods", size)
            changes(
                scene,
                "pods",
                size,
                lambda number: objects.pod(f"new{number}", f"node{number % NODES}"),
                r"object=pod/growth/new\d+",
            )
            for number in range(CHANGES):
                objects.delete("pods", f"new{number}")


def services(sizes: list[int]) -> None:
    """An endpoint of a service that changes, among the others."""
    with stage() as scene:
        objects = scene.objects("growth")
        present = 0

        def change(number: int) -> None:
            name = f"s{number * 37 % present}"
            document = slice_document(f"{name}-x", name, TARGET, [f"10.100.{present % 16}.{number % 200 + 3}"])
            path = objects.path("endpointslices", f"{name}-x")
            objects.api.merge_patch(path, {"endpoints": document["endpoints"]})

        for size in sizes:
            first = present
            many(size - first, lambda number: make_service(objects, first + number))  # noqa: B023
            present = size
            starts(scene, "services", size)
            changes(scene, "services", size, change, r"object=service/growth/s\d+")


def policies(sizes: list[int]) -> None:
    """A pod's label that changes, among the others."""
    with stage() as scene:
        spaces = make_spaces(scene)
        present = 0

        def change(number: int) -> None:
            pod = number * 37 % (present * 10)
            app = str((pod // NAMESPACES + 1 + number % 5) % APPS)
            path = spaces[pod % NAMESPACES].path("pods", f"p{pod}")
            scene.plane.api.merge_patch(path, {"metadata": {"labels": {"app": app}}})

        for size in sizes:
            first = present
            many((size - first) * 10, lambda number: make_pod(spaces, first * 10 + number))  # noqa: B023
            many(size - first, lambda number: make_policy(spaces, first + number))  # noqa: B023
            present = size
            starts(scene, "policies", size)
            changes(scene, "policies", size, change, r"object=(?:policy|peers)/\S+")


def _sizes(text: str) -> list[int]:
    return sorted(int(word) for word in text.split(",") if word)


def main() -> None:
    """Each kind on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=_sizes, default=_sizes("100,300,1000,3000,10000"))
    parser.add_argument("--services", type=_sizes, default=_sizes("100,300,1000,3000,10000"))
    parser.add_argument("--policies", type=_sizes, default=_sizes("100,200,500,1000"))
    options = parser.parse_args()
    for measure, sizes in ((pods, options.pods), (services, options.services), (policies, options.policies)):
        if sizes:
            measure(sizes)


if __name__ == "__main__":
    main()
