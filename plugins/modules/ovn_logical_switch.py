#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_switch
short_description: Manage logical switches of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes logical switches, all of one call in one transaction.
  - What is not given stays as it is. The ports of a switch that is deleted go with it.
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
  switches:
    description:
      - The switches.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the switch. The database lets several switches share one; that is an error here.
        type: str
        required: true
      state:
        description:
          - Whether the switch shall be there.
        type: str
        choices: [present, absent]
        default: present
      other_config:
        description:
          - Keys and values to have in the map, as V(subnet), V(exclude_ips) or V(mcast_snoop). A key whose value is
            null is removed, other keys stay. Numbers and booleans are taken as they are written in YAML.
        type: dict
      external_ids:
        description:
          - Keys and values to have in the map; a key whose value is null is removed, other keys stay.
        type: dict
      load_balancers:
        description:
          - Names of all load balancers that the switch has.
        type: list
        elements: str
      load_balancer_groups:
        description:
          - Names of all load balancer groups that the switch has.
        type: list
        elements: str
      clear:
        description:
          - Names of options whose column is emptied, so that it has the database's default again. A map that is named
            here and given as well becomes exactly what is given.
        type: list
        elements: str
        choices: [other_config, external_ids]
        default: []
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch_port
  - module: ovn_k8s.cluster.ovn_logical_router
"""

EXAMPLES = r"""
- name: Two switches with addresses for their ports
  ovn_k8s.cluster.ovn_logical_switch:
    switches:
      - name: web
        other_config:
          subnet: 192.0.2.0/24
          exclude_ips: 192.0.2.1..192.0.2.9
      - name: database
        other_config:
          subnet: 198.51.100.0/24

- name: One has no subnet any more, the other is gone
  ovn_k8s.cluster.ovn_logical_switch:
    switches:
      - name: web
        other_config:
          subnet: null
          exclude_ips: null
      - name: database
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
      table: Logical_Switch
      name: web
"""

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import NORTHBOUND, Wish, create, fulfil

MAPS = ("other_config", "external_ids")
TABLES = ["Logical_Switch", "Load_Balancer", "Load_Balancer_Group"]
OPTIONS = {
    "switches": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "other_config": {"type": "dict"},
            "external_ids": {"type": "dict"},
            "load_balancers": {"type": "list", "elements": "str"},
            "load_balancer_groups": {"type": "list", "elements": "str"},
            "clear": {"type": "list", "elements": "str", "choices": list(MAPS), "default": []},
        },
    },
    "owner": {"type": "str", "default": ""},
}


def switch_row(item: dict[str, Any], owner: str) -> Row:
    """A switch as the options describe it."""
    columns = from_options(item, (), MAPS, item["clear"])
    if item["load_balancers"] is not None:
        columns["load_balancer"] = [Ref("Load_Balancer", name) for name in item["load_balancers"]]
    if item["load_balancer_groups"] is not None:
        columns["load_balancer_group"] = [Ref("Load_Balancer_Group", name) for name in item["load_balancer_groups"]]
    return Row("Logical_Switch", item["name"], columns, owner)


def main() -> None:
    module = create(OPTIONS, NORTHBOUND.remote)
    items, owner = module.params["switches"], module.params["owner"]

    def wish(_actual: Database) -> Wish:
        present = [switch_row(item, owner) for item in items if item["state"] == "present"]
        absent = [("Logical_Switch", item["name"]) for item in items if item["state"] == "absent"]
        return Wish(present, absent, owner)

    fulfil(module, NORTHBOUND, TABLES, wish)


if __name__ == "__main__":
    main()
