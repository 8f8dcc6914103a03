#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_acl
short_description: Manage access control lists of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes rules of access control of switches and port groups, all of one call in one
    transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_acl
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_port_group
  - module: ovn_k8s.cluster.ovn_address_set
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A switch for the following tasks
  ovn_k8s.cluster.ovn_logical_switch:
    name: web

- name: Only web traffic gets in, and what is dropped is logged
  ovn_k8s.cluster.ovn_acl:
    acls:
      - {switch: web, direction: to-lport, priority: 1001, match: tcp.dst == 80, action: allow-related}
      - switch: web
        direction: to-lport
        priority: 1000
        match: ip4
        action: drop
        log: true
        severity: info
        name: web-drop

- name: Nothing is logged any more
  ovn_k8s.cluster.ovn_acl:
    switch: web
    direction: to-lport
    priority: 1000
    match: ip4
    clear: [log, severity, name]
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: ACL
      name: "switch web: to-lport 1000 ip4"
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.acl import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
