# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Nodes come, change their address and go; the logical network follows."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest
from control_plane import eventually
from watcher_world import World, wait_for

from ovn_k8s.core.database import Database
from ovn_k8s.core.layout import TABLES, Request, WantedNode, lay_out, record_of, recorded_subnet, stored_subnets
from ovn_k8s.kubernetes.errors import ApiRefused

NODES = "/api/v1/nodes"
LAST = itertools.count(50)


class Nodes:
    """Kubernetes nodes, registered as kubelets would."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: set[str] = set()

    def join(self, name: str, address: str | None = None, os: str = "linux") -> str:
        address = address or f"172.30.0.{next(LAST)}"
        self._world.objects.api.create(NODES, {"metadata": {"name": name, "labels": {"kubernetes.io/os": os}}})
        self._made.add(name)
        self.address(name, address)
        return address

    def address(self, name: str, *addresses: str) -> None:
        listed = [{"type": "InternalIP", "address": address} for address in addresses]
        self._world.objects.api.merge_patch(f"{NODES}/{name}/status", {"status": {"addresses": listed}})

    def leave(self, name: str) -> None:
        self._world.objects.api.delete(f"{NODES}/{name}")
        self._made.discard(name)

    def clear(self) -> None:
        for name in list(self._made):
            with contextlib.suppress(ApiRefused):
                self.leave(name)


@pytest.fixture
def nodes(world: World) -> Iterator[Nodes]:
    made = Nodes(world)
    try:
        yield made
    finally:
        made.clear()


def snapshot(world: World) -> Database:
    with world.nb.client() as client:
        return client.snapshot(TABLES)


def until(condition: Callable[[], object], world: World, seconds: float = 15.0) -> None:
    for last in eventually(seconds, 0.05):
        if condition():
            return
        assert not last, world.watcher.log.read_text()[-3000:]


def subnets(world: World) -> dict[str, str]:
    return {name: str(subnet) for name, subnet in stored_subnets(snapshot(world)).items()}


def routes(world: World) -> dict[str, str]:
    rows = snapshot(world).rows("Logical_Router_Static_Route")
    return {row.columns["ip_prefix"]: row.columns["nexthop"] for row in rows}


def in_step(world: World) -> None:
    """A second pass plans nothing."""
    assert world.watcher.run("--check").stdout == ""


def test_a_node_that_joins_gets_its_place_and_pods_there_get_ports(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    address = nodes.join("new1")
    nodes.join("new2")
    until(lambda: {"new1", "new2"} <= subnets(world).keys(), world)
    found = subnets(world)
    assert {found["new1"], found["new2"]} == {"10.244.0.0/24", "10.244.3.0/24"}  # .1 and .2 are those of linux1 and 2
    first = IPv4Network(found["new1"])
    assert routes(world)[f"{address}/32"] == str(first[2])
    database = snapshot(world)
    assert database.find("Logical_Switch_Port", "k8s-new1").columns["external_ids"]["node_subnet"] == str(first)
    assert database.find("Logical_Router_Port", "rtos-new1").columns["networks"] == frozenset({f"{first[1]}/24"})
    world.objects.pod("p0", node="new1")
    assert IPv4Address(wait_for(world, "p0")["p0"]) in first
    in_step(world)


def test_a_node_that_the_roles_made_is_taken_over_as_it_is(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("linux1", "172.30.0.11")
    until(lambda: "kubernetes_node" in record_of("linux1", snapshot(world)).columns["external_ids"], world)
    assert subnets(world) == {"linux1": "10.244.1.0/24", "linux2": "10.244.2.0/24"}
    request = Request(
        "master",
        IPv4Network("10.244.0.0/16"),
        24,
        IPv4Network("100.64.0.0/16"),
        [WantedNode("linux1", IPv4Address("172.30.0.11"))],
    )
    assert not lay_out(request, snapshot(world)).plan  # the next run of the roles changes nothing
    in_step(world)


def test_a_changed_address_is_followed(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    before = nodes.join("moves")
    until(lambda: f"{before}/32" in routes(world), world)
    nodes.address("moves", "fd00::9", "172.30.0.49")
    until(lambda: "172.30.0.49/32" in routes(world), world)
    assert f"{before}/32" not in routes(world)
    in_step(world)


def test_a_node_that_leaves_is_cleaned_up_and_its_subnet_is_free(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("stays")
    nodes.join("leaves")
    until(lambda: {"stays", "leaves"} <= subnets(world).keys(), world)
    freed = subnets(world)["leaves"]
    world.objects.pod("p0", node="leaves")
    world.objects.pod("p1", node="stays")
    kept = wait_for(world, "p0", "p1")["p1"]
    nodes.leave("leaves")
    until(lambda: not list(snapshot(world).owned("node/leaves")), world)
    until(lambda: list(world.nb.ports()) == [f"{world.objects.namespace}_p1"], world)
    assert wait_for(world, "p1")["p1"] == kept
    nodes.join("next")
    until(lambda: subnets(world).get("next") == freed, world)
    world.objects.delete("pods", "p0")
    in_step(world)


def test_a_node_that_left_while_nobody_watched_is_cleaned_up(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("stays")
    nodes.join("leaves")
    until(lambda: {"stays", "leaves"} <= subnets(world).keys(), world)
    world.watcher.stop()
    nodes.leave("leaves")
    world.watcher.start()
    until(lambda: "leaves" not in subnets(world), world)
    assert {"linux1", "linux2", "stays"} == subnets(world).keys()  # linux1 and 2 never were nodes of Kubernetes


def test_no_node_at_all_is_not_taken_for_all_gone(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("one")
    nodes.join("two")
    until(lambda: {"one", "two"} <= subnets(world).keys(), world)
    world.watcher.stop()
    nodes.clear()
    world.watcher.start()
    until(lambda: "lists no node at all" in world.watcher.log.read_text(), world)
    assert {"one", "two"} <= subnets(world).keys()
    nodes.join("three")
    until(lambda: "three" in subnets(world) and not {"one", "two"} & subnets(world).keys(), world, 45)


def test_the_last_node_that_is_deleted_goes(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("last")
    until(lambda: "last" in subnets(world), world)
    nodes.leave("last")
    until(lambda: "last" not in subnets(world), world)


def test_what_others_take_away_from_a_node_comes_back(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    address = nodes.join("mine")
    until(lambda: f"{address}/32" in routes(world), world)
    database = snapshot(world)
    router, route = (
        database.find("Logical_Router", "master"),
        database.find("Logical_Router_Static_Route", "node/mine/address"),
    )
    with world.nb.client() as client:
        client.transact(
            [
                {
                    "op": "mutate",
                    "table": "Logical_Router",
                    "where": [["_uuid", "==", ["uuid", router.uuid]]],
                    "mutations": [["static_routes", "delete", ["set", [["uuid", route.uuid]]]]],
                },
                {
                    "op": "update",
                    "table": "Logical_Switch",
                    "where": [["name", "==", "mine"]],
                    "row": {"load_balancer_group": ["set", []]},
                },
            ]
        )
    until(lambda: f"{address}/32" in routes(world), world)
    until(lambda: snapshot(world).find("Logical_Switch", "mine").columns["load_balancer_group"], world)
    in_step(world)


def test_a_windows_node_has_a_subnet_of_the_same_network_but_no_switch(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("win1", os="windows")
    nodes.join("new1")
    until(lambda: {"win1", "new1"} <= subnets(world).keys(), world)
    assert len(set(subnets(world).values())) == 4
    assert snapshot(world).find("Logical_Switch", "win1") is None
    world.objects.pod("w0", node="win1")
    world.objects.pod("p0", node="new1")
    assert wait_for(world, "p0").keys() == {"p0"}
    assert f"{world.objects.namespace}/w0" not in world.watcher.log.read_text()
    record = record_of("win1", snapshot(world))
    assert record is not None and str(recorded_subnet(record)) == subnets(world)["win1"]
    nodes.leave("win1")
    until(lambda: "win1" not in subnets(world), world)
    in_step(world)


def test_a_node_without_an_ipv4_address_waits_and_takes_nothing(world: World, nodes: Nodes) -> None:
    world.watcher.start()
    nodes.join("six", "fd00::6")
    until(lambda: "no IPv4 address of type InternalIP" in world.watcher.log.read_text(), world)
    assert "six" not in subnets(world)
    nodes.address("six", "fd00::6", "172.30.0.48")
    until(lambda: "six" in subnets(world), world)
