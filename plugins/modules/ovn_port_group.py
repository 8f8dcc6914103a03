#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_port_group
short_description: Manage port groups of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes port groups, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - The rules of a group that is deleted go with it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_port_group
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_acl
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A switch for the following tasks
  ovn_k8s.cluster.ovn_logical_switch:
    name: web

- name: Its ports
  ovn_k8s.cluster.ovn_logical_switch_port:
    ports:
      - {name: web1, switch: web}
      - {name: web2, switch: web}

- name: A group of both, which rules mean as @front
  ovn_k8s.cluster.ovn_port_group:
    name: front
    ports: [web1, web2]

- name: One is left
  ovn_k8s.cluster.ovn_port_group:
    name: front
    ports: [web2]
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Port_Group
      name: front
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.port_group import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
