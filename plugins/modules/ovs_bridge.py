#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridge
short_description: Manage bridges of Open vSwitch
version_added: 0.1.0
description:
  - Creates, changes and deletes bridges, all of one call in one transaction, without running C(ovs-vsctl).
  - What is not given stays as it is, or is the database's default in what is new.
  - The ports of a bridge that is deleted go with it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovs
options:
  bridges:
    description:
      - The bridges. Either this or the options of a single one, which needs O(name).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the bridge and of its local interface, at most 15 characters.
        type: str
        required: true
      <<: &bridge
        state:
          description:
            - Whether the bridge shall be there.
          type: str
          choices: [present, absent]
          default: present
        parent:
          description:
            - Make a bridge that stands for one VLAN of this bridge (C(ovs-vsctl) calls it a fake bridge). A port that
              is given to it is an access port of that VLAN on the parent.
            - Only O(bridges[].external_ids) can be given besides.
          type: str
        vlan:
          description:
            - The VLAN that the bridge stands for, 0 to 4095. Together with O(bridges[].parent).
          type: int
        datapath_type:
          description:
            - What forwards the packets, V(system) for the kernel or V(netdev) for userspace. Of a bridge that is new,
              the first unless given.
          type: str
        fail_mode:
          description:
            - What the bridge does without a controller, V(standalone) forwards as an ordinary switch, V(secure) as its
              flows say.
          type: str
          choices: [standalone, secure]
        protocols:
          description:
            - All OpenFlow versions that the bridge speaks, as V(OpenFlow13). An empty list means the default ones.
          type: list
          elements: str
        controllers:
          description:
            - All OpenFlow controllers of the bridge; others are removed. An empty list means none.
            - A setting that a controller is not given has its default.
          type: list
          elements: dict
          suboptions:
            target:
              description:
                - V(tcp:host:port), V(ssl:host:port) or V(unix:/path) to connect, V(ptcp:port:address) or
                  V(pssl:port:address) to listen, V(punix:/path).
              type: str
              required: true
            connection_mode:
              description:
                - Whether the controller is reached through the bridge itself.
              type: str
              choices: [in-band, out-of-band]
            inactivity_probe:
              description:
                - Milliseconds of silence after which the switch asks whether the controller is still there; V(0) turns
                  that off.
              type: int
            max_backoff:
              description:
                - Longest time between two attempts to connect, in milliseconds, at least 1000.
              type: int
            rate_limit:
              description:
                - Most packets a second that are sent to the controller, at least 100.
              type: int
            burst_limit:
              description:
                - Packets that may be saved up under O(bridges[].controllers[].rate_limit), at least 25.
              type: int
            asynchronous:
              description:
                - Whether the controller gets messages that it has not asked for.
              type: bool
        hwaddr:
          description:
            - MAC address of the bridge (the key C(hwaddr) of C(other_config)).
          type: str
        stp:
          description:
            - Whether the bridge takes part in the Spanning Tree Protocol.
          type: bool
        rstp:
          description:
            - Whether the bridge takes part in the Rapid Spanning Tree Protocol. Not together with O(bridges[].stp).
          type: bool
        mcast_snooping:
          description:
            - Whether multicast goes to those ports only behind which somebody has asked for it.
          type: bool
        flood_vlans:
          description:
            - All VLANs in which no addresses are learned. An empty list means none.
          type: list
          elements: int
        other_config:
          description:
            - Keys and values to have in the map, as V(stp-priority) or V(disable-in-band). A key whose value is null is
              removed, other keys stay. Numbers and booleans are taken as they are written in YAML.
          type: dict
        external_ids:
          description:
            - Keys and values to have in the map; a key whose value is null is removed, other keys stay.
          type: dict
        clear:
          description:
            - Names of options that get the database's default again. A map that is named here and given as well becomes
              exactly what is given.
          type: list
          elements: str
          choices:
            - datapath_type
            - fail_mode
            - protocols
            - controllers
            - hwaddr
            - stp
            - rstp
            - mcast_snooping
            - flood_vlans
            - other_config
            - external_ids
          default: []
  # A single one has the same options.
  <<: *bridge
  name:
    description:
      - Name of the bridge and of its local interface, at most 15 characters.
    type: str
  wait:
    description:
      - Wait until C(ovs-vswitchd) has carried out what was changed, at most O(timeout) seconds, and fail when it could
        not. Turn it off where only the database runs.
    type: bool
    default: true
seealso:
  - module: ovn_k8s.cluster.ovs_port
  - module: ovn_k8s.cluster.ovs_mirror
  - module: ovn_k8s.cluster.ovs_flow
  - module: ovn_k8s.cluster.ovs_config
"""

EXAMPLES = r"""
- name: A bridge for OVN and one for the physical network
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-int
        fail_mode: secure
        other_config:
          disable-in-band: true
      - name: br-ex
        hwaddr: 0a:58:c0:00:02:01
        mcast_snooping: true
        external_ids:
          bridge-id: br-ex

- name: A single one
  ovn_k8s.cluster.ovs_bridge:
    name: br-ex
    stp: true

- name: A bridge that a controller steers, and one that stands for a VLAN of another
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-sdn
        fail_mode: secure
        protocols: [OpenFlow13, OpenFlow14]
        controllers:
          - target: tcp:192.0.2.11:6653
            connection_mode: out-of-band
            inactivity_probe: 10000
      - name: br-storage
        parent: br-ex
        vlan: 30

- name: The one has its default fail mode again, the other is gone with the VLAN's bridge
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-int
        clear: [fail_mode]
      - name: br-ex
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
      table: Bridge
      name: br-int
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import SINGLETON_NAME, Database
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
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovs_qos import TABLES, leftovers
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovs_vlan_bridge import (
    IDS_PREFIX,
    members,
    vlan_bridges,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.vswitchd import wait_applied

LONGEST_NAME = 15
"""Characters that Linux takes for the name of a network interface."""
SWITCHES = {"stp": "stp_enable", "rstp": "rstp_enable", "mcast_snooping": "mcast_snooping_enable"}
COLUMNS = ("datapath_type", "fail_mode", "protocols", "flood_vlans", *SWITCHES.values())
DEFAULTS = {"datapath_type": "", **dict.fromkeys(SWITCHES.values(), False)}
MAPS = ("other_config", "external_ids")
REAL_ONLY = ("datapath_type", "fail_mode", "protocols", "controllers", "hwaddr", *SWITCHES, "flood_vlans")
CONTROLLER_COLUMNS = {
    "connection_mode": "connection_mode",
    "inactivity_probe": "inactivity_probe",
    "max_backoff": "max_backoff",
    "rate_limit": "controller_rate_limit",
    "burst_limit": "controller_burst_limit",
    "asynchronous": "enable_async_messages",
}
CONTROLLER = {
    "target": {"type": "str", "required": True},
    "connection_mode": {"type": "str", "choices": ["in-band", "out-of-band"]},
    "inactivity_probe": {"type": "int"},
    "max_backoff": {"type": "int"},
    "rate_limit": {"type": "int"},
    "burst_limit": {"type": "int"},
    "asynchronous": {"type": "bool"},
}
BRIDGES = {
    "type": "list",
    "elements": "dict",
    "required_together": [("parent", "vlan")],
    "options": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "parent": {"type": "str"},
        "vlan": {"type": "int"},
        "datapath_type": {"type": "str"},
        "fail_mode": {"type": "str", "choices": ["standalone", "secure"]},
        "protocols": {"type": "list", "elements": "str"},
        "controllers": {"type": "list", "elements": "dict", "options": CONTROLLER},
        "hwaddr": {"type": "str"},
        "stp": {"type": "bool"},
        "rstp": {"type": "bool"},
        "mcast_snooping": {"type": "bool"},
        "flood_vlans": {"type": "list", "elements": "int"},
        "other_config": {"type": "dict"},
        "external_ids": {"type": "dict"},
        "clear": {"type": "list", "elements": "str", "choices": [*REAL_ONLY, *MAPS], "default": []},
    },
}
OPTIONS = {**one_or_many("bridges", BRIDGES), "wait": {"type": "bool", "default": True}}
READ = ["Open_vSwitch", "Bridge", "Port", "Interface", "Controller", *TABLES]


def bridge_rows(item: dict[str, Any], actual: Database) -> Iterator[Row]:
    """A bridge with its controllers, its local port and its interface."""
    name, clear = item["name"], [SWITCHES.get(option, option) for option in item["clear"]]
    given = {**item, **{column: item[option] for option, column in SWITCHES.items()}}
    if item["hwaddr"]:
        given["other_config"] = {**(item["other_config"] or {}), "hwaddr": item["hwaddr"].lower()}
    elif "hwaddr" in clear and "other_config" not in clear:
        given["other_config"] = {**(item["other_config"] or {}), "hwaddr": None}
    columns = from_options(given, COLUMNS, MAPS, clear, DEFAULTS)
    controllers = [] if "controllers" in clear else item["controllers"]
    if controllers is not None:
        _call_controllers(name, actual)
        columns["controller"] = [Ref("Controller", f"{name} {c['target']}") for c in controllers]
        yield from (_controller_row(name, controller) for controller in controllers)
    yield Row("Bridge", name, columns, parent=Parent("Open_vSwitch", SINGLETON_NAME, "bridges"))
    yield Row("Port", name, {"interfaces": [Ref("Interface", name)]}, parent=Parent("Bridge", name, "ports"))
    yield Row("Interface", name, {"type": "internal"})


def _call_controllers(bridge: str, actual: Database) -> None:
    stored = actual.find("Bridge", bridge) if actual is not EMPTY else None
    for uuid in stored.columns["controller"] if stored else ():
        controller = actual.get("Controller", uuid)
        if controller:
            actual.call("Controller", uuid, f"{bridge} {controller.columns['target']}")


def _controller_row(bridge: str, controller: Mapping[str, Any]) -> Row:
    columns = {column: controller[option] for option, column in CONTROLLER_COLUMNS.items()}
    return Row("Controller", f"{bridge} {controller['target']}", {"target": controller["target"], **columns})


def vlan_bridge_rows(item: dict[str, Any]) -> Iterator[Row]:
    """A bridge that stands for a VLAN: a port of its parent."""
    name = item["name"]
    columns: dict[str, Any] = {"tag": item["vlan"], "fake_bridge": True, "interfaces": [Ref("Interface", name)]}
    ids = {f"{IDS_PREFIX}{key}": value for key, value in (item["external_ids"] or {}).items()}
    columns |= from_options({"external_ids": ids}, (), ("external_ids",), item["clear"])
    yield Row("Port", name, columns, parent=Parent("Bridge", item["parent"], "ports"))
    yield Row("Interface", name, {"type": "internal"})


def wanted_rows(item: dict[str, Any], actual: Database) -> Iterator[Row]:
    """The rows of a bridge that shall be there.

    Raises:
        InvalidValue: there is one of the other kind.
    """
    name, vlan_bridge = item["name"], None if actual is EMPTY else vlan_bridges(actual).get(item["name"])
    if item["parent"] is None:
        if vlan_bridge and _unsettled(item):
            raise InvalidValue(
                f"Bridge {name!r} stands for VLAN {vlan_bridge.vlan} of Bridge {vlan_bridge.parent!r}, which has the "
                f"settings; give them to {vlan_bridge.parent!r}, or remove {name!r} first"
            )
        if vlan_bridge:
            item = {**item, "parent": vlan_bridge.parent, "vlan": vlan_bridge.vlan}
    elif actual is not EMPTY and actual.find("Bridge", name):
        raise InvalidValue(f"Bridge {name!r} is there and stands for no VLAN; remove it first")
    yield from vlan_bridge_rows(item) if item["parent"] else bridge_rows(item, actual)


def _unsettled(item: dict[str, Any]) -> list[str]:
    """Options that a bridge which stands for a VLAN does not have."""
    given = [option for option in (*REAL_ONLY, "other_config") if item[option] is not None]
    return given + [option for option in item["clear"] if option != "external_ids"]


def unwanted(name: str, actual: Database) -> Iterator[tuple[str, str]]:
    """The rows that go with a bridge."""
    bridge, vlan_bridge = actual.find("Bridge", name), vlan_bridges(actual).get(name)
    ports = []
    if bridge:
        yield "Bridge", name
        held = (actual.get("Port", uuid) for uuid in bridge.columns["ports"])
        ports = [str(port.columns["name"]) for port in held if port]
    elif vlan_bridge:
        ports = [name, *members(vlan_bridge, actual)]
        yield from (("Port", port) for port in ports)
    for port in ports:
        yield from leftovers(port, actual)


def complaint(item: dict[str, Any]) -> str | None:
    """What is wrong with a bridge that no schema would notice."""
    if not 0 < len(item["name"]) <= LONGEST_NAME:
        return f"a name has 1 to {LONGEST_NAME} characters"
    if item["parent"] and (wrong := _unsettled(item)):
        return f"a bridge that stands for a VLAN has no {', '.join(wrong)}; give that to {item['parent']!r}"
    if item["stp"] and item["rstp"]:
        return "stp and rstp exclude each other; turn one off"
    if item["hwaddr"] and "hwaddr" in (item["other_config"] or {}):
        return "hwaddr is given twice, as an option and in other_config; leave one out"
    targets = [controller["target"] for controller in item["controllers"] or ()]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    return f"controller {twice!r} is given twice" if twice else None


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    items = given_objects(module, "bridges", BRIDGES)
    for item in items:
        wrong = complaint(item) if item["state"] == "present" else None
        if wrong:
            module.fail_json(msg=f"bridges: {item['name']!r}: {wrong}")

    def wish(actual: Database) -> Wish:
        rows = [row for item in items if item["state"] == "present" for row in wanted_rows(item, actual)]
        gone = [item["name"] for item in items if item["state"] == "absent" and actual is not EMPTY]
        return Wish(rows, [key for name in gone for key in unwanted(name, actual)])

    def wait(client: Client, _plan: Plan) -> None:
        wait_applied(client, [i["name"] for i in items if i["state"] == "present"], module.params["timeout"])

    fulfil(module, OPEN_VSWITCH, READ, wish, wait if module.params["wait"] else None)


if __name__ == "__main__":
    main()
