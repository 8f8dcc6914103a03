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
  - What is not given stays as it is. The ports of a bridge that is deleted go with it.
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
      - The bridges.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the bridge and of its local interface, at most 15 characters.
        type: str
        required: true
      state:
        description:
          - Whether the bridge shall be there.
        type: str
        choices: [present, absent]
        default: present
      datapath_type:
        description:
          - What forwards the packets, V(system) for the kernel or V(netdev) for userspace. Of a bridge that is new, the
            first unless given.
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
      other_config:
        description:
          - Keys and values to have in the map, as V(hwaddr) or V(disable-in-band). A key whose value is null is
            removed, other keys stay. Numbers and booleans are taken as they are written in YAML.
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
        choices: [fail_mode, protocols, other_config, external_ids]
        default: []
  wait:
    description:
      - Wait until C(ovs-vswitchd) has carried out what was changed, at most O(timeout) seconds, and fail when it could
        not. Turn it off where only the database runs.
    type: bool
    default: true
seealso:
  - module: ovn_k8s.cluster.ovs_port
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
        external_ids:
          bridge-id: br-ex

- name: The one has its default fail mode again, the other is gone
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

from collections.abc import Iterator
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import SINGLETON_NAME, Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.plan import Plan
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import OPEN_VSWITCH, Wish, create, fulfil
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.vswitchd import wait_applied

LONGEST_NAME = 15
"""Characters that Linux takes for the name of a network interface."""
PLAIN = ("datapath_type", "fail_mode", "protocols")
MAPS = ("other_config", "external_ids")
OPTIONS = {
    "bridges": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "datapath_type": {"type": "str"},
            "fail_mode": {"type": "str", "choices": ["standalone", "secure"]},
            "protocols": {"type": "list", "elements": "str"},
            "other_config": {"type": "dict"},
            "external_ids": {"type": "dict"},
            "clear": {
                "type": "list",
                "elements": "str",
                "choices": ["fail_mode", "protocols", *MAPS],
                "default": [],
            },
        },
    },
    "wait": {"type": "bool", "default": True},
}


def bridge_rows(item: dict[str, Any]) -> Iterator[Row]:
    """A bridge with its local port and interface."""
    name = item["name"]
    columns = from_options(item, PLAIN, MAPS, item["clear"])
    yield Row("Bridge", name, columns, parent=Parent("Open_vSwitch", SINGLETON_NAME, "bridges"))
    yield Row("Port", name, {"interfaces": [Ref("Interface", name)]}, parent=Parent("Bridge", name, "ports"))
    yield Row("Interface", name, {"type": "internal"})


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    items = module.params["bridges"]
    for item in items:
        if item["state"] == "present" and not 0 < len(item["name"]) <= LONGEST_NAME:
            module.fail_json(msg=f"bridges: {item['name']!r}: a name has 1 to {LONGEST_NAME} characters")

    def wish(_actual: Database) -> Wish:
        rows = [row for item in items if item["state"] == "present" for row in bridge_rows(item)]
        return Wish(rows, [("Bridge", item["name"]) for item in items if item["state"] == "absent"])

    def wait(client: Client, _plan: Plan) -> None:
        wait_applied(client, [i["name"] for i in items if i["state"] == "present"], module.params["timeout"])

    tables = ["Open_vSwitch", "Bridge", "Port", "Interface"]
    fulfil(module, OPEN_VSWITCH, tables, wish, wait if module.params["wait"] else None)


if __name__ == "__main__":
    main()
