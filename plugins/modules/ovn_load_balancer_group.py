#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_load_balancer_group
short_description: Manage groups of load balancers of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes groups of load balancers, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - Needs OVN 21.12 or newer.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_load_balancer_group
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_load_balancer
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A load balancer for the following task
  ovn_k8s.cluster.ovn_load_balancer:
    name: web
    vips:
      192.0.2.1:80: [10.0.0.2:8080]

- name: A group of it, which switches name in place of each load balancer
  ovn_k8s.cluster.ovn_load_balancer_group:
    name: everywhere
    load_balancers: [web]
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Load_Balancer_Group
      name: everywhere
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.load_balancer_group import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
