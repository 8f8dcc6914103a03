# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods that ask for an address, and events on those that cannot be wired."""

from __future__ import annotations

import time
from typing import Any

from control_plane import eventually
from watcher_world import World, wait_for

ASK = "ovn.ovn-k8s.io/ip-address"


def events(world: World, name: str) -> list[dict[str, Any]]:
    found = world.objects.api.get(world.objects.path("events"), {"fieldSelector": f"involvedObject.name={name}"})
    return [item for item in found["items"] if item["source"].get("component") == "ovn-k8s-watcher"]


def await_event(world: World, name: str, reason: str, text: str) -> dict[str, Any]:
    for last in eventually():
        for event in events(world, name):
            if event["reason"] == reason and text in event["message"]:
                return event
        assert not last, events(world, name)
    raise AssertionError


def test_a_pod_gets_the_address_that_it_asks_for(world: World) -> None:
    world.watcher.start()
    world.objects.pod("first", annotations={ASK: "10.244.1.77"})
    world.objects.pod("other")
    addresses = wait_for(world, "first", "other")
    assert addresses["first"] == "10.244.1.77"
    world.watcher.stop()
    world.objects.delete("pods", "first")
    world.objects.pod("first", annotations={ASK: "10.244.1.77"})
    world.watcher.start()
    assert wait_for(world, "first", "other")["first"] == "10.244.1.77"
    world.objects.delete("pods", "first")
    uid = world.objects.pod("first", annotations={ASK: "10.244.1.77"})["metadata"]["uid"]
    for last in eventually():
        row = world.nb.ports().get(f"{world.objects.namespace}_first")
        if row is not None and row.columns["external_ids"]["pod_uid"] == uid:
            break
        assert not last
    assert wait_for(world, "first", "other")["first"] == "10.244.1.77"
    time.sleep(1.5)
    assert events(world, "first") == []
    assert world.watcher.run("--check").stdout == ""


def test_an_address_that_cannot_be_had_is_refused_with_an_event(world: World) -> None:
    world.watcher.start()
    world.objects.pod("owner", annotations={ASK: "10.244.1.77"})
    wait_for(world, "owner")
    world.objects.pod("late", annotations={ASK: "10.244.1.77"})
    world.objects.pod("outside", annotations={ASK: "10.244.2.77"})
    world.objects.pod("router", annotations={ASK: "10.244.1.1"})
    world.objects.pod("nonsense", annotations={ASK: "ten"})
    world.objects.pod("plain")
    owner = f"{world.objects.namespace}/owner"
    event = await_event(world, "late", "AddressRefused", f"10.244.1.77 is the address of pod {owner}")
    assert event["type"] == "Warning"
    assert event["involvedObject"]["uid"] == world.objects.get("pods", "late")["metadata"]["uid"]
    for name in ("outside", "router", "nonsense"):
        await_event(world, name, "AddressRefused", "its subnet is 10.244.1.0/24")
    wait_for(world, "owner", "plain")
    world.objects.api.merge_patch(world.objects.path("pods", "nonsense"), {"metadata": {"annotations": {ASK: None}}})
    wait_for(world, "owner", "plain", "nonsense")
    world.objects.delete("pods", "owner")
    assert wait_for(world, "plain", "nonsense", "late", seconds=40)["late"] == "10.244.1.77"
    time.sleep(1)
    assert len(events(world, "late")) == 1  # counted, not repeated


def test_a_wired_pod_keeps_its_address_whatever_it_asks_for(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a")
    before = wait_for(world, "a")
    patch = {"metadata": {"annotations": {ASK: "10.244.1.88"}}}
    world.objects.api.merge_patch(world.objects.path("pods", "a"), patch)
    await_event(world, "a", "AddressRefused", "has 10.244.1.3 already")
    assert wait_for(world, "a") == before


def test_a_pod_that_waits_says_so_and_one_that_waited_shortly_does_not(world: World) -> None:
    world.watcher.start()
    world.objects.pod("lost", "linux3")
    await_event(world, "lost", "NoLogicalPort", "node linux3 has no logical switch with a subnet")
    world.objects.pod("short", "linux4")
    for last in eventually():
        if "linux4" in world.watcher.log.read_text():
            break
        assert not last
    world.nb.add_cluster(linux4="10.244.4.0/24")
    wait_for(world, "short")
    time.sleep(2)
    assert events(world, "short") == []
    assert world.watcher.metric('ovn_k8s_watcher_events_total{result="written"}') == 1


def test_a_row_of_somebody_else_is_named_in_the_event(world: World) -> None:
    name = f"{world.objects.namespace}_a"
    insert = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": name}}
    hold = {
        "op": "mutate",
        "table": "Logical_Switch",
        "where": [["name", "==", "linux1"]],
        "mutations": [["ports", "insert", ["named-uuid", "p"]]],
    }
    with world.nb.client() as client:
        client.transact([insert, hold])
    world.watcher.start()
    world.objects.pod("a")
    await_event(world, "a", "NoLogicalPort", "belongs to")
