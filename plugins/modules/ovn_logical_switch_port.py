#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_switch_port
short_description: Manage ports of logical switches of OVN
version_added: 0.1.0
description:
  - Creates, changes, moves and deletes logical switch ports, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - Addresses are checked, since OVN passes over those that it cannot read.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_logical_switch_port
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A switch for the following tasks
  ovn_k8s.cluster.ovn_logical_switch:
    name: web

- name: A machine, a link to a router, and the way to the physical network
  ovn_k8s.cluster.ovn_logical_switch_port:
    ports:
      - name: machine1
        switch: web
        addresses: ["0a:58:c0:00:02:0a 192.0.2.10"]
        port_security: ["0a:58:c0:00:02:0a 192.0.2.10"]
        qos_max_rate: 100000000
      - name: web-to-edge
        switch: web
        router_port: edge-to-web
      - name: web-outside
        switch: web
        type: localnet
        network_name: physnet1
        addresses: [unknown]
        tag: 100

- name: The machine is gone
  ovn_k8s.cluster.ovn_logical_switch_port:
    name: machine1
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
      table: Logical_Switch_Port
      name: machine1
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.logical_switch_port import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
