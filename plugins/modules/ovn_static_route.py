#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_static_route
short_description: Manage static routes of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes static routes of logical routers, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_static_route
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router
  - module: ovn_k8s.cluster.ovn_router_policy
  - module: ovn_k8s.cluster.ovn_bfd
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A router for the following tasks
  ovn_k8s.cluster.ovn_logical_router:
    name: edge

- name: The default route
  ovn_k8s.cluster.ovn_static_route:
    router: edge
    prefix: 0.0.0.0/0
    nexthop: 198.51.100.1

- name: Another next hop takes its place
  ovn_k8s.cluster.ovn_static_route:
    router: edge
    prefix: 0.0.0.0/0
    nexthop: 198.51.100.254

- name: A network that two next hops lead to, and one that packets are sent to by their source
  ovn_k8s.cluster.ovn_static_route:
    routes:
      - {router: edge, prefix: 203.0.113.0/24, nexthop: 192.0.2.3, ecmp: true}
      - {router: edge, prefix: 203.0.113.0/24, nexthop: 192.0.2.4, ecmp: true}
      - {router: edge, prefix: 10.244.1.0/24, nexthop: 192.0.2.5, policy: src-ip}

- name: One of the next hops is gone
  ovn_k8s.cluster.ovn_static_route:
    router: edge
    prefix: 203.0.113.0/24
    nexthop: 192.0.2.3
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
      table: Logical_Router_Static_Route
      name: "router edge: 0.0.0.0/0 198.51.100.1"
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.static_route import KIND


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
