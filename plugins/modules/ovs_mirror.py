#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_mirror
short_description: Mirror traffic of Open vSwitch bridges
version_added: 0.1.0
description:
  - Creates, changes and deletes mirrors, which copy packets of a bridge to a port or a VLAN, all of one call in one
    transaction.
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
  mirrors:
    description:
      - The mirrors. Either this or the options of a single one, which needs O(name) and O(bridge).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the mirror, one of its kind in its bridge.
        type: str
        required: true
      bridge:
        description:
          - The bridge whose packets are copied.
        type: str
        required: true
      <<: &mirror
        state:
          description:
            - Whether the mirror shall be there.
          type: str
          choices: [present, absent]
          default: present
        select_all:
          description:
            - Whether every packet that comes to a port of the bridge is copied.
          type: bool
        select_src_port:
          description:
            - All ports of the bridge whose arriving packets are copied. An empty list means none.
          type: list
          elements: str
        select_dst_port:
          description:
            - All ports of the bridge whose leaving packets are copied. An empty list means none.
          type: list
          elements: str
        select_vlan:
          description:
            - All VLANs that are copied of what is chosen otherwise. An empty list means every one.
          type: list
          elements: int
        output_port:
          description:
            - The port that the copies go to. It is used for nothing else then. A mirror has this or
              O(mirrors[].output_vlan).
          type: str
        output_vlan:
          description:
            - The VLAN that the copies go to, 1 to 4095.
          type: int
        snaplen:
          description:
            - Length to which a copy is cut, in octets, 14 to 65535.
          type: int
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
            - select_all
            - select_src_port
            - select_dst_port
            - select_vlan
            - output_port
            - output_vlan
            - snaplen
            - external_ids
          default: []
  # A single one has the same options.
  <<: *mirror
  name:
    description:
      - Name of the mirror, one of its kind in its bridge.
    type: str
  bridge:
    description:
      - The bridge whose packets are copied.
    type: str
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
  - module: ovn_k8s.cluster.ovs_port
"""

EXAMPLES = r"""
- name: The bridge, with a port where somebody listens
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-int
- name: The ports
  ovn_k8s.cluster.ovs_port:
    ports:
      - name: tap0
        bridge: br-int
      - name: listen0
        bridge: br-int
        interfaces:
          - type: internal

- name: All that a machine sends and gets can be read at listen0
  ovn_k8s.cluster.ovs_mirror:
    mirrors:
      - name: watch-tap0
        bridge: br-int
        select_src_port: [tap0]
        select_dst_port: [tap0]
        output_port: listen0

- name: No longer
  ovn_k8s.cluster.ovs_mirror:
    name: watch-tap0
    bridge: br-int
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
      table: Mirror
      name: br-int watch-tap0
"""

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database, StoredRow
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import InvalidValue, MissingReference
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Ref, Row, SetPatch
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

PORTS = ("select_src_port", "select_dst_port")
PLAIN = ("select_all", "select_vlan", "output_vlan", "snaplen")
MIRRORS = {
    "type": "list",
    "elements": "dict",
    "mutually_exclusive": [("output_port", "output_vlan")],
    "options": {
        "name": {"type": "str", "required": True},
        "bridge": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "select_all": {"type": "bool"},
        "select_src_port": {"type": "list", "elements": "str"},
        "select_dst_port": {"type": "list", "elements": "str"},
        "select_vlan": {"type": "list", "elements": "int"},
        "output_port": {"type": "str"},
        "output_vlan": {"type": "int"},
        "snaplen": {"type": "int"},
        "external_ids": {"type": "dict"},
        "clear": {
            "type": "list",
            "elements": "str",
            "choices": [
                "select_all",
                *PORTS,
                "select_vlan",
                "output_port",
                "output_vlan",
                "snaplen",
                "external_ids",
            ],
            "default": [],
        },
    },
}
OPTIONS = one_or_many("mirrors", MIRRORS)


def key(item: dict[str, Any]) -> str:
    """By which a mirror is found among those of all bridges."""
    return f"{item['bridge']} {item['name']}"


def stored_mirrors(bridge: str, actual: Database) -> list[StoredRow]:
    """The mirrors of a bridge, which then are found by both names.

    Raises:
        InvalidValue: two carry one name.
    """
    holder = actual.find("Bridge", bridge) if actual is not EMPTY else None
    found = (actual.get("Mirror", uuid) for uuid in (holder.columns["mirrors"] if holder else ()))
    mirrors = [mirror for mirror in found if mirror]
    names = [str(mirror.columns["name"]) for mirror in mirrors]
    for mirror, name in zip(mirrors, names, strict=True):
        if names.count(name) > 1:
            raise InvalidValue(
                f"Bridge {bridge!r}: {names.count(name)} mirrors are called {name!r}; rename or remove all but one"
            )
        actual.call("Mirror", mirror.uuid, f"{bridge} {name}")
    return mirrors


def mirror_row(item: dict[str, Any], actual: Database) -> Row:
    """A mirror without its place in the bridge.

    Raises:
        MissingReference: a port is not of the bridge.
    """
    clear, columns = item["clear"], from_options(item, PLAIN, ("external_ids",), item["clear"], {"select_all": False})
    for option in PORTS:
        if item[option] is not None or option in clear:
            columns[option] = [Ref("Port", port) for port in item[option] or ()]
    if item["output_port"] is not None or "output_port" in clear:
        columns["output_port"] = Ref("Port", item["output_port"]) if item["output_port"] else None
    # A mirror has one kind of output: the other goes when it is changed.
    for given, other in (("output_port", "output_vlan"), ("output_vlan", "output_port")):
        if item[given] is not None:
            columns[other] = None
    _check_ports(item, actual)
    return Row("Mirror", key(item), {"name": item["name"], **columns})


def _check_ports(item: dict[str, Any], actual: Database) -> None:
    bridge = actual.find("Bridge", item["bridge"]) if actual is not EMPTY else None
    for name in [*(item["select_src_port"] or ()), *(item["select_dst_port"] or ()), item["output_port"]]:
        port = actual.find("Port", name) if bridge and name else None
        if bridge and name and (port is None or port.uuid not in bridge.columns["ports"]):
            raise MissingReference(
                f"Mirror {item['name']!r} refers to Port {name!r}, which Bridge {item['bridge']!r} does not have; "
                "create it first"
            )


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    items = given_objects(module, "mirrors", MIRRORS)

    def wish(actual: Database) -> Wish:
        rows = []
        for bridge in dict.fromkeys(item["bridge"] for item in items):
            mirrors = {f"{bridge} {mirror.columns['name']}": mirror.uuid for mirror in stored_mirrors(bridge, actual)}
            here = [item for item in items if item["bridge"] == bridge]
            wanted = [item for item in here if item["state"] == "present"]
            rows += [mirror_row(item, actual) for item in wanted]
            gone = {mirrors[key(item)] for item in here if item["state"] == "absent" and key(item) in mirrors}
            if wanted or gone:
                change = SetPatch(frozenset(Ref("Mirror", key(item)) for item in wanted), frozenset(gone))
                rows.append(Row("Bridge", bridge, {"mirrors": change}))
        if actual is not EMPTY:
            _check_bridges([item for item in items if item["state"] == "present"], actual)
        return Wish(rows)

    fulfil(module, OPEN_VSWITCH, ["Bridge", "Port", "Mirror"], wish)


def _check_bridges(items: list[dict[str, Any]], actual: Database) -> None:
    for item in items:
        if actual.find("Bridge", item["bridge"]) is None:
            raise MissingReference(
                f"Mirror {item['name']!r} belongs into Bridge {item['bridge']!r}, which does not exist; create it first"
            )


if __name__ == "__main__":
    main()
