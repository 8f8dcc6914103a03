#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_load_balancer
short_description: Manage load balancers of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes load balancers with their health checks, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - A switch or router that shall use one names it, or a group that it is in.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_load_balancer
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_load_balancer_group
  - module: ovn_k8s.cluster.ovn_logical_switch
  - module: ovn_k8s.cluster.ovn_logical_router
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A web service whose clients keep their backend for an hour
  ovn_k8s.cluster.ovn_load_balancer:
    name: web
    protocol: tcp
    vips:
      192.0.2.1:80: [10.0.0.2:8080, 10.0.0.3:8080]
      "[2001:db8::1]:80": ["[2001:db8::2]:8080"]
    affinity_timeout: 3600

- name: Its backends are checked, and those that do not answer are left out
  ovn_k8s.cluster.ovn_load_balancer:
    name: web
    ip_port_mappings:
      10.0.0.2: web1:10.0.0.100
      10.0.0.3: web2:10.0.0.100
    health_checks:
      - {vip: "192.0.2.1:80", interval: 5, failure_count: 3}

- name: A switch uses it
  ovn_k8s.cluster.ovn_logical_switch:
    name: clients
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
      table: Load_Balancer
      name: web
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.load_balancer import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
