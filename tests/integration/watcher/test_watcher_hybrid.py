# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Windows nodes without OVN: rows, annotations, and their pods in services and policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest
from test_watcher_nodes import NODES, Nodes, in_step, subnets, until
from watcher_world import World

from ovn_k8s.core.hybrid_overlay import (
    ROUTER_ADDRESS_ANNOTATION,
    ROUTER_MAC_ANNOTATION,
    ROUTES_ANNOTATION,
    SUBNET_ANNOTATION,
    bridge_facts,
)
from ovn_k8s.core.layout import TABLES, Request, WantedGateway, WantedNode, lay_out
from ovn_k8s.core.plan import plan

MAC = "00-15-5D-00-00-07"


@pytest.fixture
def nodes(world: World) -> Iterator[Nodes]:
    made = Nodes(world)
    try:
        yield made
    finally:
        made.clear()


def annotations(world: World, name: str) -> dict[str, str]:
    found: dict[str, str] = world.objects.api.get(f"{NODES}/{name}")["metadata"].get("annotations") or {}
    return found


def annotate(world: World, name: str, **values: str) -> None:
    world.objects.api.merge_patch(f"{NODES}/{name}", {"metadata": {"annotations": values}})


def rows(world: World, table: str) -> list[Any]:
    with world.nb.client() as client:
        return [row for row in client.snapshot([table]).rows(table) if row.owner.startswith("hybrid/")]


def policies(world: World) -> dict[str, str]:
    return {row.columns["match"]: min(row.columns["nexthops"]) for row in rows(world, "Logical_Router_Policy")}


def ports(world: World) -> dict[str, Any]:
    return {row.columns["name"]: row.columns for row in rows(world, "Logical_Switch_Port")}


def test_a_windows_node_joins_and_goes(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    nodes.join("linux2", "172.30.0.12")
    in_step(world)
    assert not ports(world)
    nodes.join("win1", "172.30.0.30", os="windows")
    until(lambda: annotations(world, "win1").get(SUBNET_ANNOTATION), world)
    subnet = annotations(world, "win1")[SUBNET_ANNOTATION]
    assert subnets(world)["win1"] == subnet
    until(lambda: len(ports(world)) == 2, world)
    # Its router's MAC is the last that it says; the rows that need it come then.
    assert not policies(world)
    annotate(world, "win1", **{ROUTER_MAC_ANNOTATION: MAC})
    until(lambda: len(policies(world)) == 2, world)
    assert policies(world) == {
        f'inport == "rtos-linux1" && ip4.dst == {subnet}': "10.244.1.254",
        f'inport == "rtos-linux2" && ip4.dst == {subnet}': "10.244.2.254",
    }
    (route,) = rows(world, "Logical_Router_Static_Route")
    assert (route.columns["ip_prefix"], route.columns["nexthop"]) == (subnet, "10.244.1.254")
    facts = bridge_facts(ports(world)["int-linux1"]["external_ids"])
    assert [(str(one.subnet), str(one.address), one.router_mac) for one in facts.peers] == [
        (subnet, "172.30.0.30", "00:15:5d:00:00:07")
    ]
    until(lambda: ROUTER_MAC_ANNOTATION in annotations(world, "linux2"), world)
    assert annotations(world, "linux2") == {
        SUBNET_ANNOTATION: "10.244.2.0/24",
        ROUTER_MAC_ANNOTATION: "0a:58:0a:f4:02:fe",
        ROUTER_ADDRESS_ANNOTATION: "10.244.2.254",
    }
    in_step(world)
    # Another address, another MAC: the facts follow.
    nodes.address("win1", "172.30.0.31")
    annotate(world, "win1", **{ROUTER_MAC_ANNOTATION: "00-15-5D-00-00-08"})

    def peers() -> list[tuple[str, str]]:
        found = bridge_facts(ports(world)["int-linux1"]["external_ids"])
        return [(str(one.address), one.router_mac) for one in found.peers]

    until(lambda: peers() == [("172.30.0.31", "00:15:5d:00:00:08")], world)
    nodes.leave("win1")
    until(lambda: not ports(world) and not policies(world) and not rows(world, "Logical_Router_Static_Route"), world)
    in_step(world)


def test_everything_survives_a_restart_and_what_others_remove_comes_back(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    nodes.join("win1", "172.30.0.30", os="windows")
    annotate(world, "win1", **{ROUTER_MAC_ANNOTATION: MAC})
    until(lambda: policies(world), world)
    before = ports(world)
    world.watcher.stop()
    with world.nb.client() as client:
        database = client.snapshot()
        gone = [row for row in database.rows("Logical_Router_Policy") if row.owner.startswith("hybrid/")]
        client.commit(plan([], database, owners=[gone[0].owner]))
    assert not ports(world)
    world.watcher.start()
    until(lambda: policies(world), world)
    assert ports(world) == before
    in_step(world)


def test_the_role_gives_a_subnet_first(world: World, nodes: Nodes) -> None:
    """The role lays the network out before the machine joins, and again after: nothing is there to do then."""
    request = Request(
        "master",
        IPv4Network("10.244.0.0/16"),
        24,
        IPv4Network("100.64.0.0/16"),
        [WantedNode("win1", IPv4Address("172.30.0.30"), IPv4Network("10.244.77.0/24"), hybrid_overlay=True)],
    )
    with world.nb.client() as client:
        client.commit(lay_out(request, client.snapshot(TABLES)).plan)
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    nodes.join("win1", "172.30.0.30", os="windows")
    until(lambda: annotations(world, "win1").get(SUBNET_ANNOTATION) == "10.244.77.0/24", world)
    with world.nb.client() as client:
        assert not lay_out(request, client.snapshot(TABLES)).plan


def test_machines_that_are_no_nodes_are_reached_through_one(world: World, nodes: Nodes) -> None:
    """A gateway and a master that Kubernetes does not know: their subnets and the join network go through linux1."""
    gateway = WantedGateway(
        "gw", "gw", "eth1", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"), "0a:58:c0:00:02:02"
    )
    request = Request(
        "master",
        IPv4Network("10.244.0.0/16"),
        24,
        IPv4Network("100.64.0.0/16"),
        [WantedNode("gw", IPv4Address("172.30.0.14"))],
        [gateway],
    )
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    nodes.join("linux2", "172.30.0.12")
    nodes.join("win1", "172.30.0.30", os="windows")
    annotate(world, "win1", **{ROUTER_MAC_ANNOTATION: MAC})
    until(lambda: policies(world), world)
    with world.nb.client() as client:
        client.commit(lay_out(request, client.snapshot(TABLES)).plan)
    until(lambda: ROUTES_ANNOTATION in annotations(world, "win1"), world)
    entry = {"address": "172.30.0.11", "router_mac": "0a:58:0a:f4:01:fe"}
    assert json.loads(annotations(world, "win1")[ROUTES_ANNOTATION]) == [
        {"subnet": subnet, **entry} for subnet in (subnets(world)["gw"], "100.64.0.0/16")
    ]


def test_pods_of_a_windows_node_have_no_port_and_count_in_policies(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    nodes.join("win1", "172.30.0.30", os="windows")
    until(lambda: "win1" in subnets(world), world)
    world.objects.pod("iis", node="win1")
    world.objects.set_status("iis", phase="Running", podIP="10.244.9.3", podIPs=[{"ip": "10.244.9.3"}])
    world.objects.pod("db", node="linux1")
    spec = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    path = world.objects.path("networkpolicies")
    world.objects.api.create(path, {"metadata": {"name": "own"}, "spec": spec})

    def members() -> set[str]:
        with world.nb.client() as client:
            found = client.snapshot(["Address_Set"]).rows("Address_Set")
            return {address for row in found for address in row.columns["addresses"]}

    until(lambda: "10.244.9.3" in members(), world)
    assert not any(name.endswith("_iis") for name in world.nb.ports())
    assert "NoLogicalPort" not in world.watcher.log.read_text()
    in_step(world)
