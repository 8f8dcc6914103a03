# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How fast the watcher brings pods into the northbound database. `--pods N`: how many for the restart (10000)."""

from __future__ import annotations

import argparse
import re
import time

from watcher_stage import NODES, Stage, cpu_seconds, many, memory_mib, percentile, report, stage, wait_until


def one_at_a_time(scene: Stage, present: int) -> None:
    """Latency of one pod among others, as the watcher's log has it: from the event's arrival to the commit's reply."""
    background = scene.objects("present")
    many(present, lambda number: background.pod(f"p{number}", f"node{number % NODES}"))
    scene.watcher.start()
    wait_until(lambda: scene.watcher.metric("ovn_k8s_watcher_annotations_pending") == 0, 120)
    objects = scene.objects("single")
    round_trips = []
    with scene.nb.client() as client:
        query = {
            "op": "wait",
            "table": "Logical_Switch_Port",
            "timeout": 5000,
            "until": "!=",
            "rows": [],
            "columns": ["name"],
        }
        for number in range(200):
            objects.pod(f"s{number}", f"node{number % NODES}")
            created = time.monotonic()
            client.transact([{**query, "where": [["name", "==", f"single_s{number}"]]}])
            round_trips.append((time.monotonic() - created) * 1000)
            time.sleep(0.02)
    log = scene.watcher.log.read_text()
    latencies = [float(found) for found in re.findall(r"object=pod/single/s\d+ ms=([0-9.]+)", log)]
    report("watcher_event_to_nb_p50_ms", percentile(latencies, 50), "ms")
    report("watcher_event_to_nb_p99_ms", percentile(latencies, 99), "ms")
    report("watcher_create_to_nb_p50_ms", percentile(round_trips, 50), "ms")
    report("watcher_create_to_nb_p99_ms", percentile(round_trips, 99), "ms")


def burst(scene: Stage, count: int = 1000) -> None:
    """Clients create pods all at once: from the first create to the last row."""
    before = scene.count("Logical_Switch_Port")
    transactions = scene.watcher.metric('ovn_k8s_watcher_transactions_total{result="committed"}')
    cpu = cpu_seconds(scene.watcher.pid)
    objects = scene.objects("burst")
    started = time.monotonic()
    many(count, lambda number: objects.pod(f"b{number}", f"node{number % NODES}"))
    created = time.monotonic()
    finished = wait_until(lambda: scene.count("Logical_Switch_Port") == before + count, 60)
    report(f"watcher_burst_{count}_create_alone_s", created - started, "s")
    report(f"watcher_burst_{count}_pods_s", finished - started, "s")
    after = scene.watcher.metric('ovn_k8s_watcher_transactions_total{result="committed"}')
    report(f"watcher_burst_{count}_transactions", after - transactions, "transactions")
    pending = "ovn_k8s_watcher_annotations_pending"
    wait_until(lambda: scene.watcher.metric(pending) == 0, 60)
    report(f"watcher_burst_{count}_annotated_s", time.monotonic() - started, "s")
    report(f"watcher_burst_{count}_cpu_s", cpu_seconds(scene.watcher.pid) - cpu, "s")


def resync(scene: Stage, count: int) -> None:
    """Restart when the database is right already."""
    scene.watcher.stop()
    present = scene.count("Logical_Switch_Port") - 2 * NODES - 1
    objects = scene.objects("many")
    many(count - present, lambda number: objects.pod(f"m{number}", f"node{number % NODES}"))
    started = time.monotonic()
    scene.watcher.start(ready=False)
    scene.watcher.wait_ready(300)
    report(f"watcher_cold_{count}_pods_s", time.monotonic() - started, "s")
    wait_until(lambda: scene.watcher.metric("ovn_k8s_watcher_annotations_pending") == 0, 600, 0.5)
    scene.watcher.stop()
    started = time.monotonic()
    scene.watcher.start(ready=False)
    scene.watcher.wait_ready(300)
    thousands = f"{count // 1000}k"
    report(f"watcher_resync_{thousands}_pods_s", time.monotonic() - started, "s")
    transactions = scene.watcher.metric('ovn_k8s_watcher_transactions_total{result="committed"}')
    report(f"watcher_resync_{thousands}_transactions", transactions, "transactions")
    report(f"watcher_resync_{thousands}_cpu_s", cpu_seconds(scene.watcher.pid), "s")
    report(f"watcher_rss_{thousands}_pods_mib", memory_mib(scene.watcher.pid), "MiB")


def main() -> None:
    """Run all, on one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    options = parser.parse_args()
    with stage() as scene:
        one_at_a_time(scene, 1000)
        burst(scene)
        resync(scene, options.pods)


if __name__ == "__main__":
    main()
