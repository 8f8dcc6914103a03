#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_k8s_topology
short_description: Lay out the logical network of a Kubernetes cluster
version_added: 0.1.0
description:
  - Makes in the northbound database what a cluster has once (the cluster router and the switch C(join)), what each
    Linux node has (a switch, its link to the router, the node's own port) and what each gateway has (a router on its
    chassis, its link to the network outside, source NAT), all in one transaction.
  - A node that has a subnet keeps it for life. Every other node gets the lowest one that is free, in the order of
    O(nodes). Two runs at the same time cannot give one subnet to two nodes.
  - Nodes and gateways that are not named are left as they are, so that a run limited to some hosts harms none.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options:
  master:
    description:
      - Node name of the first master, which names the cluster router. A router that was made already keeps its name.
    type: str
    required: true
  cluster_cidr:
    description:
      - The network that pods have their addresses from.
    type: str
    default: 10.244.0.0/16
  node_prefix:
    description:
      - Prefix length of the subnet that a new node gets, at most 29.
    type: int
    default: 24
  join_cidr:
    description:
      - The network between the cluster router and the gateway routers.
    type: str
    default: 100.64.0.0/16
  nodes:
    description:
      - Linux nodes that shall be there, masters and gateways included.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the node, as Kubernetes knows it.
        type: str
        required: true
      node_ip:
        description: The node's IPv4 address on the network between the nodes.
        type: str
        required: true
      subnet:
        description:
          - The node's subnet of O(cluster_cidr). One that differs from the subnet that the node has is an error.
        type: str
      hybrid_overlay:
        description:
          - Whether the node is a Windows node without OVN. It gets a subnet, and the watcher makes the ways there.
        type: bool
        default: false
  gateways:
    description:
      - Gateways that shall be there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the node that is the gateway.
        type: str
        required: true
      chassis:
        description: The C(system-id) of its Open vSwitch; the name unless given.
        type: str
      interface:
        description: Its interface to the network outside.
        type: str
        required: true
      address:
        description:
          - Its address there, with the prefix length, as V(192.0.2.2/24). Pods are seen outside with this address.
        type: str
        required: true
      nexthop:
        description: The router through which everything else is reached. Without one only the network itself is.
        type: str
      mac:
        description: MAC address of the interface, in quotes, since YAML can take one for a number.
        type: str
        required: true
  reserved:
    description:
      - Subnets that are spoken for, by the name of their node, although the database does not know it yet, such as
        those that an inventory gives to machines which are not part of this run. No other node gets them. What the
        database says of a node goes before.
    type: dict
    default: {}
  absent_nodes:
    description:
      - Names of nodes, and of the gateways on them, that shall not be there. Their subnets are free again.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The network of three nodes and a gateway
  ovn_k8s.cluster.ovn_k8s_topology:
    master: master
    cluster_cidr: 10.244.0.0/16
    nodes:
      - {name: master, node_ip: 192.0.2.11}
      - {name: linux1, node_ip: 192.0.2.12}
      - {name: linux2, node_ip: 192.0.2.13, subnet: 10.244.77.0/24}
      - {name: gw, node_ip: 192.0.2.14}
    gateways:
      - name: gw
        interface: eth1
        address: 198.51.100.2/24
        nexthop: 198.51.100.1
        mac: "52:54:00:12:34:56"
  register: network

- name: A node has gone for good
  ovn_k8s.cluster.ovn_k8s_topology:
    master: master
    absent_nodes: [linux2]
"""

RETURN = r"""
subnets:
  description: The subnet of each node of O(nodes).
  returned: success
  type: dict
  sample:
    linux1: 10.244.1.0/24
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Logical_Switch
      name: linux1
"""

import re
from ipaddress import IPv4Network
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.addresses import (
    LONGEST_NODE_PREFIX,
    AddressError,
    overlaps,
    parse_address,
    parse_interface,
    parse_network,
    subnet_count,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.layout import (
    TABLES,
    Request,
    WantedGateway,
    WantedNode,
    choose_subnets,
    lay_out,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.plan import Plan
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import NORTHBOUND, converge, create

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")

OPTIONS = {
    "master": {"type": "str", "required": True},
    "cluster_cidr": {"type": "str", "default": "10.244.0.0/16"},
    "node_prefix": {"type": "int", "default": 24},
    "join_cidr": {"type": "str", "default": "100.64.0.0/16"},
    "nodes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "node_ip": {"type": "str", "required": True},
            "subnet": {"type": "str"},
            "hybrid_overlay": {"type": "bool", "default": False},
        },
    },
    "gateways": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "chassis": {"type": "str"},
            "interface": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "nexthop": {"type": "str"},
            "mac": {"type": "str", "required": True},
        },
    },
    "reserved": {"type": "dict", "default": {}},
    "absent_nodes": {"type": "list", "elements": "str", "default": []},
}


def request_from(params: dict[str, Any]) -> Request:
    """The options as facts.

    Raises:
        AddressError: a value is none, or two contradict each other; the message names the option.
    """
    cluster, join = parse_network(params["cluster_cidr"]), parse_network(params["join_cidr"])
    if overlaps({"cluster_cidr": cluster, "join_cidr": join}):
        raise AddressError(f"cluster_cidr {cluster} and join_cidr {join} overlap; choose another join_cidr")
    prefix = params["node_prefix"]
    if prefix > LONGEST_NODE_PREFIX or not subnet_count(cluster, prefix):
        raise AddressError(
            f"node_prefix {prefix} does not fit: it must be {cluster.prefixlen} (that of cluster_cidr) to "
            f"{LONGEST_NODE_PREFIX}"
        )
    for option in ("nodes", "gateways"):
        names = [item["name"] for item in params[option]]
        for name in names:
            if names.count(name) > 1:
                raise AddressError(f"{option}: {name!r} is named twice")
            if name in params["absent_nodes"]:
                raise AddressError(f"{option}: {name!r} is named in absent_nodes as well; remove it from one of them")
    absent = tuple(params["absent_nodes"])
    return Request(
        router=params["master"],
        cluster=cluster,
        node_prefix=prefix,
        join=join,
        nodes=[_node(item) for item in params["nodes"]],
        gateways=[_gateway(item) for item in params["gateways"]],
        absent_nodes=absent,
        absent_gateways=absent,
        reserved=_reserved(params["reserved"]),
    )


def _reserved(option: dict[str, Any]) -> dict[str, IPv4Network]:
    try:
        return {name: parse_network(subnet) for name, subnet in option.items()}
    except AddressError as error:
        raise AddressError(f"reserved: {error}") from None


def _node(item: dict[str, Any]) -> WantedNode:
    try:
        subnet = parse_network(item["subnet"]) if item["subnet"] else None
        return WantedNode(item["name"], parse_address(item["node_ip"]), subnet, item["hybrid_overlay"])
    except AddressError as error:
        raise AddressError(f"nodes: {item['name']!r}: {error}") from None


def _gateway(item: dict[str, Any]) -> WantedGateway:
    mac = item["mac"].lower()
    try:
        if not MAC.fullmatch(mac):
            raise AddressError(
                f'{item["mac"]!r} is not a MAC address such as "52:54:00:12:34:56" (in quotes, which YAML needs)'
            )
        return WantedGateway(
            name=item["name"],
            chassis=item["chassis"] or item["name"],
            interface=item["interface"],
            address=parse_interface(item["address"]),
            nexthop=parse_address(item["nexthop"]) if item["nexthop"] else None,
            mac=mac,
        )
    except AddressError as error:
        raise AddressError(f"gateways: {item['name']!r}: {error}") from None


def main() -> None:
    module = create(OPTIONS, NORTHBOUND.remote)
    subnets: dict[str, str] = {}
    try:
        request = request_from(module.params)
    except AddressError as error:
        module.fail_json(msg=str(error))

    def make_plan(actual: Database) -> Plan:
        layout = lay_out(request, actual)
        subnets.update({name: str(subnet) for name, subnet in layout.subnets.items()})
        return layout.plan

    def in_empty_database() -> dict[str, Any]:
        subnets.update({name: str(subnet) for name, subnet in choose_subnets(request, {}).items()})
        nodes = {f"node {name}": {"subnet": subnet} for name, subnet in subnets.items()}
        gateways = {f"gateway {item.name}": {"address": str(item.address)} for item in request.gateways}
        return {f"cluster router {request.router}": {}, **nodes, **gateways}

    result = converge(module, NORTHBOUND, TABLES, make_plan, in_empty_database)
    module.exit_json(**result, subnets=subnets)


if __name__ == "__main__":
    main()
