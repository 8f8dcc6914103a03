#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_router
short_description: Manage logical routers of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes logical routers, all of one call in one transaction.
  - What is not given stays as it is. Ports, routes and address translations of a router that is deleted go with it.
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
  routers:
    description:
      - The routers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the router. The database lets several routers share one; that is an error here.
        type: str
        required: true
      state:
        description:
          - Whether the router shall be there.
        type: str
        choices: [present, absent]
        default: present
      enabled:
        description:
          - Whether the router takes part in forwarding. Empty in the database means that it does.
        type: bool
      options:
        description:
          - Keys and values to have in the map, as V(chassis) (which makes it a gateway router), V(lb_force_snat_ip) or
            V(mac_binding_age_threshold). A key whose value is null is removed, other keys stay.
        type: dict
      external_ids:
        description:
          - Keys and values to have in the map; a key whose value is null is removed, other keys stay.
        type: dict
      load_balancers:
        description:
          - Names of all load balancers that the router has.
        type: list
        elements: str
      load_balancer_groups:
        description:
          - Names of all load balancer groups that the router has.
        type: list
        elements: str
      clear:
        description:
          - Names of options whose column is emptied, so that it has the database's default again. A map that is named
            here and given as well becomes exactly what is given.
        type: list
        elements: str
        choices: [enabled, options, external_ids]
        default: []
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch
"""

EXAMPLES = r"""
- name: A distributed router and one that lives on a chassis
  ovn_k8s.cluster.ovn_logical_router:
    routers:
      - name: cluster
      - name: edge
        options:
          chassis: gateway1
          lb_force_snat_ip: 100.64.0.2

- name: The router is off and bound to no chassis
  ovn_k8s.cluster.ovn_logical_router:
    routers:
      - name: edge
        enabled: false
        clear: [options]
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Logical_Router
      name: edge
"""

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import NORTHBOUND, Wish, create, fulfil

PLAIN = ("enabled",)
MAPS = ("options", "external_ids")
TABLES = ["Logical_Router", "Load_Balancer", "Load_Balancer_Group"]
OPTIONS = {
    "routers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "enabled": {"type": "bool"},
            "options": {"type": "dict"},
            "external_ids": {"type": "dict"},
            "load_balancers": {"type": "list", "elements": "str"},
            "load_balancer_groups": {"type": "list", "elements": "str"},
            "clear": {"type": "list", "elements": "str", "choices": [*PLAIN, *MAPS], "default": []},
        },
    },
    "owner": {"type": "str", "default": ""},
}


def router_row(item: dict[str, Any], owner: str) -> Row:
    """A router as the options describe it."""
    columns = from_options(item, PLAIN, MAPS, item["clear"])
    if item["load_balancers"] is not None:
        columns["load_balancer"] = [Ref("Load_Balancer", name) for name in item["load_balancers"]]
    if item["load_balancer_groups"] is not None:
        columns["load_balancer_group"] = [Ref("Load_Balancer_Group", name) for name in item["load_balancer_groups"]]
    return Row("Logical_Router", item["name"], columns, owner)


def main() -> None:
    module = create(OPTIONS, NORTHBOUND.remote)
    items, owner = module.params["routers"], module.params["owner"]

    def wish(_actual: Database) -> Wish:
        present = [router_row(item, owner) for item in items if item["state"] == "present"]
        absent = [("Logical_Router", item["name"]) for item in items if item["state"] == "absent"]
        return Wish(present, absent, owner)

    fulfil(module, NORTHBOUND, TABLES, wish)


if __name__ == "__main__":
    main()
