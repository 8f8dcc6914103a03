# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How fast the watcher brings services into the northbound database. `--services N` (10000)."""

from __future__ import annotations

import argparse
import re
import time

from watcher_stage import (
    Objects,
    Stage,
    cpu_seconds,
    many,
    memory_mib,
    percentile,
    report,
    slice_document,
    stage,
    wait_until,
)

TARGET = [{"name": "", "port": 8080, "protocol": "TCP"}]
CHANGES = 200


def make_service(objects: Objects, number: int) -> None:
    """A service with three endpoints."""
    objects.service(f"s{number}", [{"port": 80}])
    base = f"10.{100 + number % 16}.{number // 250 % 16}"
    objects.endpoint_slice(
        f"s{number}-x", f"s{number}", TARGET, [f"{base}.{number % 80 + host}" for host in (3, 90, 170)]
    )


def from_nothing(scene: Stage, count: int) -> None:
    """Services with three endpoints each, present when the watcher starts with an empty database."""
    objects = scene.objects("services")
    many(count, lambda number: make_service(objects, number))
    started = time.monotonic()
    scene.watcher.start(ready=False)
    scene.watcher.wait_ready(300)
    thousands = f"{count // 1000}k"
    report(f"watcher_{thousands}_services_s", time.monotonic() - started, "s")
    report(f"watcher_{thousands}_services_rows", scene.count("Load_Balancer"), "rows")
    report(f"watcher_{thousands}_services_cpu_s", cpu_seconds(scene.watcher.pid), "s")
    report(f"watcher_rss_{thousands}_services_mib", memory_mib(scene.watcher.pid), "MiB")


def endpoint_changes(scene: Stage, count: int) -> None:
    """Latency of a change of one endpoint slice among all the services, as the watcher's log has it."""
    path = "/apis/discovery.k8s.io/v1/namespaces/services/endpointslices"
    for number in range(CHANGES):
        name = f"s{number * 37 % count}"
        document = slice_document(f"{name}-x", name, TARGET, [f"10.100.1.{number % 200 + 3}"])
        scene.plane.api.merge_patch(f"{path}/{name}-x", {"endpoints": document["endpoints"]})
        time.sleep(0.02)
    pattern = re.compile(r"changed Load_Balancer \S+ \(vips\) object=service/services/s\d+ ms=([0-9.]+)")
    wait_until(lambda: len(pattern.findall(scene.watcher.log.read_text())) >= CHANGES, 30)
    latencies = [float(found) for found in pattern.findall(scene.watcher.log.read_text())]
    report("watcher_endpoint_change_p50_ms", percentile(latencies, 50), "ms")
    report("watcher_endpoint_change_p99_ms", percentile(latencies, 99), "ms")


def services_come_and_go(scene: Stage) -> None:
    """Latency of a service that is added to, or removed from, all the others."""
    objects = scene.objects("changing")
    for number in range(CHANGES):
        objects.service(f"c{number}", [{"port": 80}])
        time.sleep(0.02)
    for number in range(CHANGES):
        objects.delete("services", f"c{number}")
        time.sleep(0.02)
    for word in ("added", "removed"):
        pattern = re.compile(rf"{word} Load_Balancer .*object=service/changing/c\d+ ms=([0-9.]+)")
        wait_until(lambda: len(pattern.findall(scene.watcher.log.read_text())) >= CHANGES, 30)  # noqa: B023
        latencies = [float(found) for found in pattern.findall(scene.watcher.log.read_text())]
        report(f"watcher_service_{word}_p99_ms", percentile(latencies, 99), "ms")


def main() -> None:
    """Run all, on one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    options = parser.parse_args()
    with stage() as scene:
        from_nothing(scene, options.services)
        endpoint_changes(scene, options.services)
        services_come_and_go(scene)


if __name__ == "__main__":
    main()
