# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The rows of a cluster's logical network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import MapPatch, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.topology import Node, cluster_topology, node_topology

JOIN = IPv4Network("100.64.0.0/16")


def by_name(rows: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row.table, row.name): row for row in rows}


def test_a_node_gets_its_switch_router_port_and_own_port() -> None:
    node = Node("linux1", IPv4Address("172.30.0.12"), IPv4Network("10.244.1.0/24"))
    rows = by_name(list(node_topology("master", node)))
    switch = rows["Logical_Switch", "linux1"]
    assert switch.columns["other_config"] == {"subnet": "10.244.1.0/24"}
    assert switch.columns["external_ids"] == MapPatch({"gateway_ip": "10.244.1.1/24"})
    assert rows["Logical_Router_Port", "rtos-linux1"].columns["mac"] == "0a:58:0a:f4:01:01"
    own = rows["Logical_Switch_Port", "k8s-linux1"].columns
    assert own["addresses"] == ["0a:58:0a:f4:01:02 10.244.1.2"]
    assert own["external_ids"] == {"node_subnet": "10.244.1.0/24"}
    route = rows["Logical_Router_Static_Route", "node/linux1/address"].columns
    assert (route["ip_prefix"], route["nexthop"]) == ("172.30.0.12/32", "10.244.1.2")
    assert {row.owner for row in rows.values()} == {"node/linux1"}


def test_the_cluster_router_is_marked_and_joined() -> None:
    rows = by_name(list(cluster_topology("master", JOIN)))
    assert rows["Logical_Router", "master"].columns["external_ids"] == {"k8s-cluster-router": "yes"}
    assert rows["Logical_Router_Port", "rtoj-master"].columns["networks"] == ["100.64.0.1/16"]
    assert rows["Logical_Switch_Port", "jtor-master"].columns["options"] == {"router-port": "rtoj-master"}
    route = rows["Logical_Router_Static_Route", "cluster/node-ports"].columns
    assert (route["ip_prefix"], route["nexthop"]) == ("169.254.0.0/29", "discard")
