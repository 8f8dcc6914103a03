#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_router_policy
short_description: Manage routing policies of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes routing policies of logical routers, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_router_policy
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_static_route
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A router for the following tasks
  ovn_k8s.cluster.ovn_logical_router:
    name: edge

- name: A network leaves by next hops of its own, another not at all
  ovn_k8s.cluster.ovn_router_policy:
    policies:
      - router: edge
        priority: 100
        match: ip4.src == 192.0.2.0/24
        action: reroute
        nexthops: [198.51.100.7, 198.51.100.8]
      - {router: edge, priority: 90, match: ip4.src == 203.0.113.0/24, action: drop}

- name: The first one is gone
  ovn_k8s.cluster.ovn_router_policy:
    router: edge
    priority: 100
    match: ip4.src == 192.0.2.0/24
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
      table: Logical_Router_Policy
      name: "router edge: 100 ip4.src == 192.0.2.0/24"
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.router_policy import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
