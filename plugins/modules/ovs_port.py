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
  - What is not given stays as it is, or is the database's default in what is new.
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
      - The ports. Either this or the options of a single one, which needs O(name).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the port, one of its kind among all bridges.
        type: str
        required: true
      <<: &port
        bridge:
          description:
            - The bridge that has the port. A port that another one has is moved. Needed unless the port shall be
              absent.
            - Of a bridge that stands for a VLAN, the port becomes an access port.
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
                - V(system) for a network device of the machine, V(internal) for one that Open vSwitch makes, V(patch)
                  for an end of a link between bridges, or a tunnel such as V(geneve) or V(vxlan).
              type: str
            options:
              description:
                - Keys and values to have in the map, as V(peer) of a patch port or V(remote_ip) of a tunnel. A key
                  whose value is null is removed, other keys stay.
                - The value of V(psk), the key of an IPsec tunnel, is shown nowhere.
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
            ingress_policing_rate:
              description:
                - Most that is taken from the interface, in kilobits a second; V(0) is no limit.
              type: int
            ingress_policing_burst:
              description:
                - What may be saved up under O(ports[].interfaces[].ingress_policing_rate), in kilobits.
              type: int
            bfd:
              description:
                - Keys and values to have in the map that configures Bidirectional Forwarding Detection, as V(enable). A
                  key whose value is null is removed, other keys stay.
              type: dict
            other_config:
              description:
                - Keys and values to have in the map. A key whose value is null is removed, other keys stay.
              type: dict
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
              choices:
                - options
                - mtu_request
                - ofport_request
                - mac
                - ingress_policing_rate
                - ingress_policing_burst
                - bfd
                - other_config
                - external_ids
              default: []
        tag:
          description:
            - VLAN of an access port, or the native VLAN of a trunk, 0 to 4095.
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
        cvlans:
          description:
            - All customer VLANs that a V(dot1q-tunnel) port takes. An empty list means all there are.
          type: list
          elements: int
        protected:
          description:
            - Whether nothing is forwarded between this and other protected ports.
          type: bool
        bond_mode:
          description:
            - How a port of several interfaces spreads its traffic.
          type: str
          choices: [active-backup, balance-slb, balance-tcp]
        lacp:
          description:
            - Whether a bond negotiates with its peer by LACP, and who begins.
          type: str
          choices: [active, passive, 'off']
        bond_updelay:
          description:
            - Milliseconds that a link must be up before the bond uses it.
          type: int
        bond_downdelay:
          description:
            - Milliseconds that a link must be down before the bond leaves it.
          type: int
        bond_active_interface:
          description:
            - MAC address of the interface that was active last in an V(active-backup) bond. Open vSwitch writes it too,
              so give it only to bring one about.
          type: str
        qos:
          description:
            - Quality of service of what leaves by the port. What is given is exact, with all queues.
          type: dict
          suboptions:
            type:
              description:
                - As V(linux-htb), V(linux-hfsc), V(egress-policer) or V(linux-noop).
              type: str
              required: true
            other_config:
              description:
                - Settings of the type, as V(max-rate) in bits a second.
              type: dict
            external_ids:
              description:
                - Keys and values for other programs.
              type: dict
            queues:
              description:
                - The queues, which flows choose by number.
              type: list
              elements: dict
              suboptions:
                id:
                  description:
                    - Number of the queue; V(0) takes what no flow puts elsewhere.
                  type: int
                  required: true
                dscp:
                  description:
                    - Mark that packets of the queue get, 0 to 63.
                  type: int
                other_config:
                  description:
                    - Settings of the queue, as V(min-rate), V(max-rate), V(burst) or V(priority).
                  type: dict
                external_ids:
                  description:
                    - Keys and values for other programs.
                  type: dict
        other_config:
          description:
            - Keys and values to have in the map, as V(lacp-time) or V(bond-rebalance-interval) of a bond. A key whose
              value is null is removed, other keys stay.
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
          choices:
            - tag
            - trunks
            - vlan_mode
            - cvlans
            - protected
            - bond_mode
            - lacp
            - bond_updelay
            - bond_downdelay
            - bond_active_interface
            - qos
            - other_config
            - external_ids
          default: []
  # A single one has the same options.
  <<: *port
  name:
    description:
      - Name of the port, one of its kind among all bridges.
    type: str
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

- name: A bond, a tunnel, and a port whose traffic is shaped
  ovn_k8s.cluster.ovs_port:
    ports:
      - name: bond0
        bridge: br-ex
        interfaces:
          - name: eth2
          - name: eth3
        bond_mode: balance-slb
        lacp: active
        bond_updelay: 100
        tag: 10
        vlan_mode: native-untagged
        trunks: [10, 20, 30]
        other_config:
          lacp-time: fast
      - name: tunnel0
        bridge: br-int
        interfaces:
          - type: vxlan
            options:
              remote_ip: 192.0.2.20
              key: 4097
      - name: eth4
        bridge: br-ex
        qos:
          type: linux-htb
          other_config:
            max-rate: 1000000000
          queues:
            - id: 0
              other_config:
                max-rate: 200000000
            - id: 1
              dscp: 46
              other_config:
                min-rate: 800000000

- name: A single port
  ovn_k8s.cluster.ovs_port:
    name: eth5
    bridge: br-int

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
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.one_or_many import (
    given_objects,
    one_or_many,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovs_qos import TABLES, leftovers, qos_rows
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovs_vlan_bridge import vlan_bridges
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.vswitchd import wait_applied

MAPS = ("other_config", "external_ids")
INTERFACE_PLAIN = ("type", "mtu_request", "ofport_request", "mac", "ingress_policing_rate", "ingress_policing_burst")
INTERFACE_DEFAULTS = {"type": "", "ingress_policing_rate": 0, "ingress_policing_burst": 0}
INTERFACE_MAPS = ("options", "bfd", *MAPS)
BOND_ACTIVE = {"bond_active_interface": "bond_active_slave"}
"""Option to column."""
PORT_PLAIN = (
    "tag",
    "trunks",
    "vlan_mode",
    "cvlans",
    "protected",
    "bond_mode",
    "lacp",
    "bond_updelay",
    "bond_downdelay",
    "bond_active_slave",
)
PORT_DEFAULTS = {"protected": False, "bond_updelay": 0, "bond_downdelay": 0}
MODES = ["access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"]
SECRET_KEYS = ("psk",)
INTERFACE = {
    "name": {"type": "str"},
    "type": {"type": "str"},
    "options": {"type": "dict"},
    "mtu_request": {"type": "int"},
    "ofport_request": {"type": "int"},
    "mac": {"type": "str"},
    "ingress_policing_rate": {"type": "int"},
    "ingress_policing_burst": {"type": "int"},
    "bfd": {"type": "dict"},
    "other_config": {"type": "dict"},
    "external_ids": {"type": "dict"},
    "clear": {
        "type": "list",
        "elements": "str",
        "choices": ["options", *INTERFACE_PLAIN[1:], "bfd", *MAPS],
        "default": [],
    },
}
QOS = {
    "type": {"type": "str", "required": True},
    "other_config": {"type": "dict"},
    "external_ids": {"type": "dict"},
    "queues": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "int", "required": True},
            "dscp": {"type": "int"},
            "other_config": {"type": "dict"},
            "external_ids": {"type": "dict"},
        },
    },
}
PORTS = {
    "type": "list",
    "elements": "dict",
    "required_if": [("state", "present", ["bridge"])],
    "options": {
        "name": {"type": "str", "required": True},
        "bridge": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "interfaces": {"type": "list", "elements": "dict", "options": INTERFACE},
        "tag": {"type": "int"},
        "trunks": {"type": "list", "elements": "int"},
        "vlan_mode": {"type": "str", "choices": MODES},
        "cvlans": {"type": "list", "elements": "int"},
        "protected": {"type": "bool"},
        "bond_mode": {"type": "str", "choices": ["active-backup", "balance-slb", "balance-tcp"]},
        "lacp": {"type": "str", "choices": ["active", "passive", "off"]},
        "bond_updelay": {"type": "int"},
        "bond_downdelay": {"type": "int"},
        "bond_active_interface": {"type": "str"},
        "qos": {"type": "dict", "options": QOS},
        "other_config": {"type": "dict"},
        "external_ids": {"type": "dict"},
        "clear": {
            "type": "list",
            "elements": "str",
            "choices": [*PORT_PLAIN[:-1], *BOND_ACTIVE, "qos", *MAPS],
            "default": [],
        },
    },
}
OPTIONS = {**one_or_many("ports", PORTS), "wait": {"type": "bool", "default": True}}
READ = ["Bridge", "Port", "Interface", *TABLES]


def port_rows(item: dict[str, Any], actual: Database) -> Iterator[Row]:
    """A port, the interfaces that the options name, and its quality of service."""
    name, clear = item["name"], [BOND_ACTIVE.get(option, option) for option in item["clear"]]
    given = {**item, "bond_active_slave": item["bond_active_interface"]}
    bridge, vlan = _place(item, actual)
    if vlan is not None:
        given["tag"] = vlan
    columns = from_options(given, PORT_PLAIN, MAPS, clear, PORT_DEFAULTS)
    if "qos" in clear and item["qos"] is None:
        columns["qos"] = None
    elif item["qos"]:
        yield from qos_rows(name, item["qos"], actual)
        columns["qos"] = Ref("QoS", name)
    interfaces = item["interfaces"]
    if interfaces is None and (actual is EMPTY or actual.find("Port", name) is None):
        interfaces = [{"name": name, "clear": []}]
    if interfaces is not None:
        columns["interfaces"] = [Ref("Interface", interface["name"] or name) for interface in interfaces]
    yield Row("Port", name, columns, parent=Parent("Bridge", bridge, "ports"))
    for interface in interfaces or ():
        # In the database an ordinary network device is of type "" or "system"; the first is what tools write.
        kind = {**interface, "type": ""} if interface.get("type") == "system" else interface
        interface_columns = from_options(kind, INTERFACE_PLAIN, INTERFACE_MAPS, interface["clear"], INTERFACE_DEFAULTS)
        yield Row("Interface", interface["name"] or name, interface_columns)


def _place(item: dict[str, Any], actual: Database) -> tuple[str, int | None]:
    """The bridge that holds the port, and the VLAN that this means.

    Raises:
        InvalidValue: the port shall have another VLAN than its bridge.
    """
    bridge = None if actual is EMPTY else vlan_bridges(actual).get(item["bridge"])
    if bridge is None:
        return item["bridge"], None
    if item["tag"] not in (None, bridge.vlan) or "tag" in item["clear"]:
        raise InvalidValue(
            f"Port {item['name']!r}: Bridge {bridge.name!r} stands for VLAN {bridge.vlan}, so its ports have that tag; "
            f"leave tag out, or give the port to {bridge.parent!r}"
        )
    return bridge.parent, bridge.vlan


def gone(item: dict[str, Any], actual: Database) -> Iterator[tuple[str, str]]:
    """The rows that go with a port, or with what it no longer has."""
    if item["state"] == "absent":
        yield "Port", item["name"]
        yield from leftovers(item["name"], actual)
    elif item["qos"]:
        yield from leftovers_of_queues(item, actual)
    elif "qos" in item["clear"]:
        yield from leftovers(item["name"], actual)


def leftovers_of_queues(item: dict[str, Any], actual: Database) -> Iterator[tuple[str, str]]:
    """Queues that are no longer wanted."""
    return leftovers(item["name"], actual, frozenset(queue["id"] for queue in item["qos"]["queues"] or ()))


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


def complaint(item: dict[str, Any]) -> str | None:
    """What is wrong with a port that no schema would notice."""
    if item["interfaces"] == []:
        return "a port has at least one interface; leave interfaces out"
    numbers = [queue["id"] for queue in (item["qos"] or {}).get("queues") or ()]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    return None if twice is None else f"queue {twice} is given twice"


def hide_secrets(module: Any, items: Iterable[dict[str, Any]]) -> None:
    """Keep the keys of tunnels out of all that the module prints."""
    for item in items:
        for interface in item["interfaces"] or ():
            options = interface["options"] or {}
            module.no_log_values.update(str(options[key]) for key in SECRET_KEYS if options.get(key))


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    items = given_objects(module, "ports", PORTS)
    hide_secrets(module, items)
    for item in items:
        wrong = complaint(item)
        if wrong:
            module.fail_json(msg=f"ports: {item['name']!r}: {wrong}")

    def wish(actual: Database) -> Wish:
        rows = [row for item in items if item["state"] == "present" for row in port_rows(item, actual)]
        if actual is EMPTY:
            return Wish(rows)
        check_free(rows, actual)
        return Wish(rows, [key for item in items for key in gone(item, actual)])

    def wait(client: Client, made: Plan) -> None:
        names = [row.name for row in wish(made.actual).rows if row.table == "Interface"]
        wait_applied(client, names, module.params["timeout"])

    fulfil(module, OPEN_VSWITCH, READ, wish, wait if module.params["wait"] else None)


if __name__ == "__main__":
    main()
