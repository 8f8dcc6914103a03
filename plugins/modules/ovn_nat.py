#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_nat
short_description: Manage address translation of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes rules of address translation of logical routers, all of one call in one
    transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_nat
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A router for the following tasks
  ovn_k8s.cluster.ovn_logical_router:
    name: edge

- name: A network is seen outside with one address, a machine in it with its own
  ovn_k8s.cluster.ovn_nat:
    rules:
      - {router: edge, type: snat, external_ip: 198.51.100.2, logical_ip: 192.0.2.0/24}
      - router: edge
        type: dnat_and_snat
        external_ip: 198.51.100.10
        logical_ip: 192.0.2.10
        logical_port: machine1
        external_mac: "0a:58:c6:33:64:0a"

- name: The machine is not reached from outside any more
  ovn_k8s.cluster.ovn_nat:
    router: edge
    type: dnat_and_snat
    external_ip: 198.51.100.10
    logical_ip: 192.0.2.10
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
      table: NAT
      name: "router edge: snat 198.51.100.2 192.0.2.0/24"
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.nat import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
