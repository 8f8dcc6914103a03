#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_router_port
short_description: Manage ports of logical routers of OVN
version_added: 0.1.0
description:
  - Creates, changes, moves and deletes logical router ports with their gateway chassis, all of one call in
    one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_logical_router_port
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router
  - module: ovn_k8s.cluster.ovn_ha_chassis_group
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A router for the following tasks
  ovn_k8s.cluster.ovn_logical_router:
    name: edge

- name: A port towards a switch, and one outside with a gateway chassis and a spare one
  ovn_k8s.cluster.ovn_logical_router_port:
    ports:
      - name: edge-to-web
        router: edge
        mac: "0a:58:c0:00:02:01"
        networks: [192.0.2.1/24, "2001:db8::1/64"]
        ipv6_address_mode: slaac
      - name: edge-outside
        router: edge
        mac: "0a:58:c6:33:64:02"
        networks: [198.51.100.2/24]
        gateway_chassis:
          - {chassis: gateway1, priority: 20}
          - {chassis: gateway2, priority: 10}

- name: One gateway is left
  ovn_k8s.cluster.ovn_logical_router_port:
    name: edge-outside
    gateway_chassis:
      - {chassis: gateway2, priority: 10}
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Logical_Router_Port
      name: edge-to-web
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.logical_router_port import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
