# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of a real API server become ports of a real northbound database."""

from __future__ import annotations

from control_plane import eventually
from watcher_world import World, annotation, wait_for


def test_a_pod_gets_a_port_and_the_annotation(world: World) -> None:
    world.watcher.start()
    pod = world.objects.pod("a")
    assert wait_for(world, "a") == {"a": "10.244.1.3"}
    name = f"{world.objects.namespace}_a"
    row = world.nb.ports()[name]
    assert row.columns["addresses"] == {"0a:58:0a:f4:01:03 10.244.1.3"}
    assert row.columns["port_security"] == row.columns["addresses"]
    assert row.columns["external_ids"] == {
        "ovn-k8s-owner": f"pod/{world.objects.namespace}/a",
        "namespace": world.objects.namespace,
        "pod": "true",
        "pod_uid": pod["metadata"]["uid"],
        "ip_address": "10.244.1.3/24",
        "gateway_ip": "10.244.1.1",
        "mac_address": "0a:58:0a:f4:01:03",
    }
    database = world.nb.snapshot()
    switch = database.find("Logical_Switch", "linux1")
    assert switch is not None
    assert row.uuid in switch.columns["ports"]
    for last in eventually():
        if annotation(world, "a") == {
            "ip_address": "10.244.1.3/24",
            "mac_address": "0a:58:0a:f4:01:03",
            "gateway_ip": "10.244.1.1",
        }:
            break
        assert not last, annotation(world, "a")


def test_deletion_removes_the_port_and_the_address_rests(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a")
    world.objects.pod("b", "linux2")
    assert wait_for(world, "a", "b") == {"a": "10.244.1.3", "b": "10.244.2.3"}
    world.objects.delete("pods", "a")
    wait_for(world, "b")
    world.objects.pod("c")
    assert wait_for(world, "b", "c")["c"] == "10.244.1.4"


def test_pods_without_a_network_of_their_own_get_nothing(world: World) -> None:
    world.watcher.start()
    world.objects.pod("host", hostNetwork=True)
    world.objects.pod("unscheduled", node="")
    world.objects.pod("plain")
    wait_for(world, "plain")
    assert annotation(world, "host") is None


def test_scheduling_wires_a_pod(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a", node="")
    world.objects.api.create(
        world.objects.path("pods", "a") + "/binding",
        {"metadata": {"name": "a"}, "target": {"apiVersion": "v1", "kind": "Node", "name": "linux2"}},
    )
    assert wait_for(world, "a") == {"a": "10.244.2.3"}


def test_a_finished_pod_gives_its_address_back_but_not_while_a_container_runs(world: World) -> None:
    world.watcher.start()
    world.objects.pod("job")
    world.objects.pod("evicted")
    wait_for(world, "job", "evicted")
    running = {
        "name": "main",
        "image": "x",
        "imageID": "x",
        "ready": False,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    world.objects.set_status("evicted", phase="Failed", containerStatuses=[running])
    world.objects.set_status("job", phase="Succeeded")
    wait_for(world, "evicted")
    world.objects.set_status("evicted", containerStatuses=[{**running, "state": {"terminated": {"exitCode": 1}}}])
    wait_for(world)


def test_a_pod_of_the_same_name_never_inherits(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a")
    before = wait_for(world, "a")
    world.objects.delete("pods", "a")
    again = world.objects.pod("a", "linux2")
    for last in eventually():
        row = world.nb.ports().get(f"{world.objects.namespace}_a")
        if row is not None and row.columns["external_ids"]["pod_uid"] == again["metadata"]["uid"]:
            break
        assert not last
    after = wait_for(world, "a")
    assert before == {"a": "10.244.1.3"}
    assert after == {"a": "10.244.2.3"}
    database = world.nb.snapshot()
    first, second = database.find("Logical_Switch", "linux1"), database.find("Logical_Switch", "linux2")
    assert first is not None and second is not None
    assert row.uuid not in first.columns["ports"]
    assert row.uuid in second.columns["ports"]


def await_waiting(world: World, count: int) -> None:
    """Wait until so many objects wait."""
    for last in eventually():
        if world.watcher.metric("ovn_k8s_watcher_waiting_objects") == count:
            return
        assert not last


def test_a_pod_waits_for_the_switch_of_its_node(world: World) -> None:
    world.watcher.start()
    world.objects.pod("early", "linux3")
    world.objects.pod("plain")
    wait_for(world, "plain")
    for last in eventually():
        if "no logical switch" in world.watcher.log.read_text():
            break
        assert not last
    waiting = world.watcher.metric("ovn_k8s_watcher_waiting_objects")
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24", linux3="10.244.3.0/24")
    assert wait_for(world, "plain", "early")["early"] == "10.244.3.3"
    await_waiting(world, waiting - 1)


def test_a_full_subnet_lets_the_next_pod_in_when_one_ends(world: World) -> None:
    world.nb.add_cluster(small="10.244.9.0/29")
    world.watcher.start()
    for number in range(4):
        world.objects.pod(f"p{number}", "small")
    wait_for(world, "p0", "p1", "p2", "p3")
    world.objects.pod("late", "small")
    for last in eventually():
        if "has no free address" in world.watcher.log.read_text():
            break
        assert not last
    world.objects.delete("pods", "p1")
    assert wait_for(world, "p0", "p2", "p3", "late")["late"] == "10.244.9.4"


def test_what_others_do_to_our_rows_is_put_right(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a")
    wait_for(world, "a")
    name = f"{world.objects.namespace}_a"
    with world.nb.client() as client:
        row = world.nb.ports()[name]
        where = [["_uuid", "==", ["uuid", row.uuid]]]
        client.transact(
            [{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"addresses": "unknown"}}]
        )
    for last in eventually():
        if world.nb.ports()[name].columns["addresses"] == {"0a:58:0a:f4:01:03 10.244.1.3"}:
            break
        assert not last
    with world.nb.client() as client:
        switch = [["name", "==", "linux1"]]
        client.transact(
            [
                {
                    "op": "mutate",
                    "table": "Logical_Switch",
                    "where": switch,
                    "mutations": [["ports", "delete", ["uuid", row.uuid]]],
                }
            ]
        )
    assert wait_for(world, "a") == {"a": "10.244.1.3"}


def test_addresses_of_ports_of_others_are_not_for_pods_as_long_as_they_have_them(world: World) -> None:
    def port(addresses: list[str]) -> None:
        row = {"addresses": ["set", addresses]}
        with world.nb.client() as client:
            where = [["name", "==", "vm"]]
            client.transact([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": row}])

    def in_use(number: int) -> None:
        for last in eventually():
            if world.watcher.metric('ovn_k8s_watcher_addresses_allocated{node="linux1"}') == number:
                break
            assert not last

    add = {"table": "Logical_Switch", "where": [["name", "==", "linux1"]]}
    insert = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "vm", "row": {"name": "vm"}}
    world.watcher.start()
    with world.nb.client() as client:
        hold = [["ports", "insert", ["named-uuid", "vm"]]]
        client.transact([insert, {"op": "mutate", **add, "mutations": hold}])
    port(["0a:58:0a:f4:01:03 10.244.1.3", "0a:58:0a:f4:01:05 10.244.1.5"])
    in_use(2)
    for name in ("p0", "p1"):
        world.objects.pod(name)
        wait_for(world, *(["p0"] if name == "p0" else ["p0", "p1"]))
    assert not {"10.244.1.3", "10.244.1.5"} & set(world.nb.addresses().values())
    port(["0a:58:0a:f4:01:05 10.244.1.5"])
    in_use(3)
    with world.nb.client() as client:
        client.transact([{"op": "mutate", **add, "mutations": [["ports", "delete", port_uuid(world, "vm")]]}])
    in_use(2)


def port_uuid(world: World, name: str) -> list[str]:
    row = world.nb.snapshot().find("Logical_Switch_Port", name)
    assert row is not None
    return ["uuid", row.uuid]


def test_a_row_of_somebody_else_is_left_alone_and_holds_up_nobody(world: World) -> None:
    name = f"{world.objects.namespace}_a"
    with world.nb.client() as client:
        client.transact(
            [
                {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": name}},
                {
                    "op": "mutate",
                    "table": "Logical_Switch",
                    "where": [["name", "==", "linux1"]],
                    "mutations": [["ports", "insert", ["named-uuid", "p"]]],
                },
            ]
        )
    for number in range(20):
        world.objects.pod(f"p{number}")
    world.objects.pod("a")
    world.watcher.start()
    wait_for(world, *(f"p{number}" for number in range(20)))
    foreign = world.nb.snapshot().find("Logical_Switch_Port", name)
    assert foreign is not None
    assert foreign.columns["external_ids"] == {}
    assert "belongs to" in world.watcher.log.read_text()
