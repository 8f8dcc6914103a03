#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_port
short_description: Manage ports of Open vSwitch bridges
version_added: 0.1.0
description:
  - Creates, changes, moves and deletes ports and their interfaces, all of one call in one transaction, without running
    C(ovs-vsctl).
  - What is not given stays as it is.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovs
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
          - Name of the port, one of its kind among all bridges.
        type: str
        required: true
      bridge:
        description:
          - The bridge that has the port. A port that another one has is moved. Needed unless the port shall be absent.
        type: str
      state:
        description:
          - Whether the port shall be there. An absent one is gone from whatever bridge has it.
        type: str
        choices: [present, absent]
        default: present
      interfaces:
        description:
          - All interfaces of the port. A new port has one with the name of the port unless this is given.
        type: list
        elements: dict
        suboptions:
          name:
            description:
              - Name of the interface; that of the port unless given.
            type: str
          type:
            description:
              - V(system) for a network device of the machine, V(internal) for one that Open vSwitch makes, V(patch) for
                an end of a link between bridges, or a tunnel such as V(geneve) or V(vxlan).
            type: str
          options:
            description:
              - Keys and values to have in the map, as V(peer) of a patch port or V(remote_ip) of a tunnel. A key whose
                value is null is removed, other keys stay.
            type: dict
          mtu_request:
            description:
              - MTU that the interface shall have.
            type: int
          ofport_request:
            description:
              - OpenFlow port number that the interface shall have, 1 to 65279.
            type: int
          mac:
            description:
              - MAC address of an internal interface.
            type: str
          external_ids:
            description:
              - Keys and values to have in the map, as V(iface-id). A key whose value is null is removed, other keys
                stay.
            type: dict
          clear:
            description:
              - Names of options whose column is emptied, so that it has the database's default again. A map that is
                named here and given as well becomes exactly what is given.
            type: list
            elements: str
            choices: [options, mtu_request, ofport_request, mac, external_ids]
            default: []
      tag:
        description:
          - VLAN of an access port, 0 to 4095.
        type: int
      trunks:
        description:
          - All VLANs that a trunk port carries. An empty list means all there are.
        type: list
        elements: int
      vlan_mode:
        description:
          - How VLANs are handled; follows from O(ports[].tag) unless given.
        type: str
        choices: [access, trunk, native-tagged, native-untagged, dot1q-tunnel]
      other_config:
        description:
          - Keys and values to have in the map. A key whose value is null is removed, other keys stay.
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
        choices: [tag, trunks, vlan_mode, other_config, external_ids]
        default: []
  wait:
    description:
      - Wait until C(ovs-vswitchd) has carried out what was changed, at most O(timeout) seconds, and fail when it could
        not. Turn it off where only the database runs.
    type: bool
    default: true
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
"""

EXAMPLES = r"""
- name: The bridges that the ports belong to
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-int
      - name: br-ex

- name: A device of the machine, an internal port in a VLAN, and a link between the bridges
  ovn_k8s.cluster.ovs_port:
    ports:
      - name: eth1
        bridge: br-ex
      - name: storage0
        bridge: br-ex
        tag: 30
        interfaces:
          - type: internal
            mtu_request: 9000
      - name: int-to-ex
        bridge: br-int
        interfaces:
          - type: patch
            options: {peer: ex-to-int}
      - name: ex-to-int
        bridge: br-ex
        interfaces:
          - type: patch
            options: {peer: int-to-ex}

- name: The internal port carries all VLANs, the device is free again
  ovn_k8s.cluster.ovs_port:
    ports:
      - name: storage0
        bridge: br-ex
        clear: [tag]
      - name: eth1
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
      table: Port
      name: eth1
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import InvalidValue
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.plan import Plan
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    EMPTY,
    OPEN_VSWITCH,
    Wish,
    create,
    fulfil,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.vswitchd import wait_applied

MAPS = ("other_config", "external_ids")
INTERFACE_PLAIN = ("type", "mtu_request", "ofport_request", "mac")
INTERFACE_MAPS = ("options", "external_ids")
PORT_PLAIN = ("tag", "trunks", "vlan_mode")
MODES = ["access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"]
INTERFACE = {
    "name": {"type": "str"},
    "type": {"type": "str"},
    "options": {"type": "dict"},
    "mtu_request": {"type": "int"},
    "ofport_request": {"type": "int"},
    "mac": {"type": "str"},
    "external_ids": {"type": "dict"},
    "clear": {
        "type": "list",
        "elements": "str",
        "choices": ["options", "mtu_request", "ofport_request", "mac", "external_ids"],
        "default": [],
    },
}
OPTIONS = {
    "ports": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "required_if": [("state", "present", ["bridge"])],
        "options": {
            "name": {"type": "str", "required": True},
            "bridge": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "interfaces": {"type": "list", "elements": "dict", "options": INTERFACE},
            "tag": {"type": "int"},
            "trunks": {"type": "list", "elements": "int"},
            "vlan_mode": {"type": "str", "choices": MODES},
            "other_config": {"type": "dict"},
            "external_ids": {"type": "dict"},
            "clear": {"type": "list", "elements": "str", "choices": [*PORT_PLAIN, *MAPS], "default": []},
        },
    },
    "wait": {"type": "bool", "default": True},
}


def port_rows(item: dict[str, Any], actual: Database) -> Iterator[Row]:
    """A port and the interfaces that the options name."""
    name = item["name"]
    columns = from_options(item, PORT_PLAIN, MAPS, item["clear"])
    interfaces = item["interfaces"]
    if interfaces is None and (actual is EMPTY or actual.find("Port", name) is None):
        interfaces = [{"name": name, "clear": []}]
    if interfaces is not None:
        columns["interfaces"] = [Ref("Interface", interface["name"] or name) for interface in interfaces]
    yield Row("Port", name, columns, parent=Parent("Bridge", item["bridge"], "ports"))
    for interface in interfaces or ():
        # In the database an ordinary network device is of type "" or "system"; the first is what tools write.
        given = {**interface, "type": ""} if interface.get("type") == "system" else interface
        interface_columns = from_options(given, INTERFACE_PLAIN, INTERFACE_MAPS, interface["clear"])
        yield Row("Interface", interface["name"] or name, interface_columns)


def check_free(rows: Iterable[Row], actual: Database) -> None:
    """See that no interface belongs to a port that keeps it.

    Raises:
        InvalidValue: one does; the message names both.
    """
    ports = {row.name: row for row in rows if row.table == "Port"}
    wanted = {ref.name: name for name, row in ports.items() for ref in row.columns.get("interfaces", ())}
    for interface, name in wanted.items():
        stored = actual.find("Interface", interface)
        for holder, _column in actual.holders("Interface", stored.uuid) if stored else ():
            other = str(holder.columns["name"])
            if other != name and "interfaces" not in ports.get(other, Row("Port", other)).columns:
                raise InvalidValue(
                    f"Interface {interface!r} belongs to Port {other!r} and is wanted by Port {name!r}; "
                    "remove that port first, or choose another name"
                )


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    items = module.params["ports"]
    for item in items:
        if item["interfaces"] == []:
            module.fail_json(msg=f"ports: {item['name']!r}: a port has at least one interface; leave interfaces out")

    def wish(actual: Database) -> Wish:
        rows = [row for item in items if item["state"] == "present" for row in port_rows(item, actual)]
        if actual is not EMPTY:
            check_free(rows, actual)
        return Wish(rows, [("Port", item["name"]) for item in items if item["state"] == "absent"])

    def wait(client: Client, made: Plan) -> None:
        names = [row.name for row in wish(made.actual).rows if row.table == "Interface"]
        wait_applied(client, names, module.params["timeout"])

    tables = ["Bridge", "Port", "Interface"]
    fulfil(module, OPEN_VSWITCH, tables, wish, wait if module.params["wait"] else None)


if __name__ == "__main__":
    main()
