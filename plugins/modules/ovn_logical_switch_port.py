#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_switch_port
short_description: Manage ports of logical switches of OVN
version_added: 0.1.0
description:
  - Creates, changes, moves and deletes logical switch ports, all of one call in one transaction.
  - What is not given stays as it is. Addresses are checked, since OVN passes over those that it cannot read.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options:
  ports:
    description:
      - The ports.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the port, one of its kind in the database. An interface with this C(external_ids:iface-id) is bound
            to it.
        type: str
        required: true
      switch:
        description:
          - The logical switch that has the port. A port that another one has is moved. Needed unless the port shall be
            absent.
        type: str
      state:
        description:
          - Whether the port shall be there.
        type: str
        choices: [present, absent]
        default: present
      type:
        description:
          - What the port is; V(vif) is the interface of a machine or a container.
        type: str
        choices: [vif, router, localnet, localport, l2gateway, vtep, external, virtual, remote]
      router_port:
        description:
          - The logical router port at the other end. Sets O(ports[].type=router) and, unless O(ports[].addresses) is
            given, the address V(router).
        type: str
      addresses:
        description:
          - All addresses of the port, each a MAC address and any number of IP addresses, or V(unknown), V(router) or
            V(dynamic). An empty list removes them.
        type: list
        elements: str
      port_security:
        description:
          - All source addresses that the port may send with, each a MAC address and any number of IP addresses or
            networks. An empty list lets it send with any.
        type: list
        elements: str
      enabled:
        description:
          - Whether packets pass. Empty in the database means that they do.
        type: bool
      parent_name:
        description:
          - Of a container inside a machine, the port of the machine.
        type: str
      tag:
        description:
          - VLAN of a nested or C(localnet) port, 1 to 4095.
        type: int
      options:
        description:
          - Keys and values to have in the map, as V(network_name) or V(requested-chassis). A key whose value is null is
            removed, other keys stay.
        type: dict
      external_ids:
        description:
          - Keys and values to have in the map; a key whose value is null is removed, other keys stay.
        type: dict
      clear:
        description:
          - Names of options whose column is emptied, so that it has the database's default again. A map that is named
            here and given as well becomes exactly what is given.
        type: list
        elements: str
        choices: [enabled, parent_name, tag, options, external_ids]
        default: []
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch
"""

EXAMPLES = r"""
- name: A switch for the ports of the following tasks
  ovn_k8s.cluster.ovn_logical_switch:
    switches:
      - name: web

- name: A machine, a link to a router, and the way to the physical network
  ovn_k8s.cluster.ovn_logical_switch_port:
    ports:
      - name: machine1
        switch: web
        addresses: ["0a:58:c0:00:02:0a 192.0.2.10"]
        port_security: ["0a:58:c0:00:02:0a 192.0.2.10"]
      - name: web-to-edge
        switch: web
        router_port: edge-to-web
      - name: web-outside
        switch: web
        type: localnet
        addresses: [unknown]
        tag: 100
        options:
          network_name: physnet1

- name: The machine is gone
  ovn_k8s.cluster.ovn_logical_switch_port:
    ports:
      - name: machine1
        state: absent
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Logical_Switch_Port
      name: machine1
"""

import re
from ipaddress import ip_interface
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import NORTHBOUND, Wish, create, fulfil

PLAIN = ("addresses", "port_security", "enabled", "parent_name", "tag")
MAPS = ("options", "external_ids")
TYPES = ["vif", "router", "localnet", "localport", "l2gateway", "vtep", "external", "virtual", "remote"]
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
WORDS = ("unknown", "router", "dynamic")
OPTIONS = {
    "ports": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "required_if": [("state", "present", ["switch"])],
        "options": {
            "name": {"type": "str", "required": True},
            "switch": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "type": {"type": "str", "choices": TYPES},
            "router_port": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "port_security": {"type": "list", "elements": "str"},
            "enabled": {"type": "bool"},
            "parent_name": {"type": "str"},
            "tag": {"type": "int"},
            "options": {"type": "dict"},
            "external_ids": {"type": "dict"},
            "clear": {
                "type": "list",
                "elements": "str",
                "choices": ["enabled", "parent_name", "tag", "options", "external_ids"],
                "default": [],
            },
        },
    },
    "owner": {"type": "str", "default": ""},
}


def is_address(text: str) -> bool:
    """Whether OVN can read an element of `addresses` (ovn-nb(5))."""
    first, *rest = text.split() or [""]
    if first in WORDS:
        return first == "dynamic" or not rest
    return bool(MAC.fullmatch(first)) and (rest == ["dynamic"] or all(_is_ip(item) for item in rest))


def is_security(text: str) -> bool:
    """Whether OVN can read an element of `port_security`."""
    first, *rest = text.split() or [""]
    return bool(MAC.fullmatch(first)) and all(_is_ip(item) for item in rest)


def _is_ip(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True


def complaint(items: list[dict[str, Any]]) -> str | None:
    """What is wrong with ports that no schema would notice."""
    for item in items:
        name = item["name"]
        for address in item["addresses"] or ():
            if not is_address(address):
                return (
                    f"ports: {name!r}: address {address!r} is none; write a MAC address and IP addresses, separated by "
                    f"spaces, or one of {', '.join(WORDS)}"
                )
        for address in item["port_security"] or ():
            if not is_security(address):
                return (
                    f"ports: {name!r}: port_security {address!r} is none; write a MAC address and IP addresses or "
                    "networks, separated by spaces"
                )
        if item["router_port"] and item["type"] not in (None, "router"):
            return f"ports: {name!r}: router_port makes the port of type router, not {item['type']}; leave one out"
    return None


def port_row(item: dict[str, Any], owner: str) -> Row:
    """A port as the options describe it."""
    if item["router_port"]:
        addresses = item["addresses"] if item["addresses"] is not None else ["router"]
        options = {**(item["options"] or {}), "router-port": item["router_port"]}
        item = {**item, "type": "router", "addresses": addresses, "options": options}
    columns = from_options(item, PLAIN, MAPS, item["clear"])
    if item["type"]:
        columns["type"] = "" if item["type"] == "vif" else item["type"]
    parent = Parent("Logical_Switch", item["switch"], "ports")
    return Row("Logical_Switch_Port", item["name"], columns, owner, parent)


def main() -> None:
    module = create(OPTIONS, NORTHBOUND.remote)
    items, owner = module.params["ports"], module.params["owner"]
    wrong = complaint(items)
    if wrong:
        module.fail_json(msg=wrong)

    def wish(_actual: Database) -> Wish:
        present = [port_row(item, owner) for item in items if item["state"] == "present"]
        absent = [("Logical_Switch_Port", item["name"]) for item in items if item["state"] == "absent"]
        return Wish(present, absent, owner)

    fulfil(module, NORTHBOUND, ["Logical_Switch", "Logical_Switch_Port"], wish)


if __name__ == "__main__":
    main()
