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
  - What is not given stays as it is, or is the database's default in what is new.
  - The ports, routes and rules of a router that is deleted go with it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_logical_router
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router_port
  - module: ovn_k8s.cluster.ovn_static_route
  - module: ovn_k8s.cluster.ovn_nat
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A distributed router and one that lives on a chassis
  ovn_k8s.cluster.ovn_logical_router:
    routers:
      - name: cluster
      - name: edge
        chassis: gateway1
        lb_force_snat_ip: [100.64.0.2]

- name: The router is off and bound to no chassis
  ovn_k8s.cluster.ovn_logical_router:
    name: edge
    enabled: false
    clear: [chassis, lb_force_snat_ip]
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

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.logical_router import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
