#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_qos
short_description: Manage quality of service of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes rules of quality of service of logical switches, all of one call in one
    transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_qos
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch
  - module: ovn_k8s.cluster.ovn_meter
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A switch for the following tasks
  ovn_k8s.cluster.ovn_logical_switch:
    name: web

- name: At most 100 Mbit/s, and voice first
  ovn_k8s.cluster.ovn_qos:
    rules:
      - {switch: web, direction: from-lport, priority: 100, match: ip4, rate: 100000, burst: 10000}
      - {switch: web, direction: from-lport, priority: 200, match: udp.dst == 5060, dscp: 46}

- name: No limit any more
  ovn_k8s.cluster.ovn_qos:
    switch: web
    direction: from-lport
    priority: 100
    match: ip4
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
      table: QoS
      name: "switch web: from-lport 100 ip4"
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.qos import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
