#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_bfd
short_description: Manage BFD sessions of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes BFD sessions of logical router ports, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_bfd
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_static_route
  - module: ovn_k8s.cluster.ovn_router_policy
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A router
  ovn_k8s.cluster.ovn_logical_router:
    name: edge

- name: Its default route holds only while the next hop answers
  ovn_k8s.cluster.ovn_bfd:
    logical_port: edge-outside
    dst_ip: 198.51.100.1
    min_tx: 250
    min_rx: 250
    detect_mult: 5

- name: The route
  ovn_k8s.cluster.ovn_static_route:
    router: edge
    prefix: 0.0.0.0/0
    nexthop: 198.51.100.1
    output_port: edge-outside
    bfd: true
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: BFD
      name: edge-outside 198.51.100.1
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.bfd import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
