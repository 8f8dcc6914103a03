#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_logical_switch
short_description: Manage logical switches of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes logical switches, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - The ports and rules of a switch that is deleted go with it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_logical_switch
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch_port
  - module: ovn_k8s.cluster.ovn_logical_router
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: A switch with addresses for its ports
  ovn_k8s.cluster.ovn_logical_switch:
    name: web
    subnet: 192.0.2.0/24
    exclude_ips: [192.0.2.1..192.0.2.9]

- name: Two at once
  ovn_k8s.cluster.ovn_logical_switch:
    switches:
      - name: web
        mcast_snoop: true
        external_ids:
          tier: front
      - name: database
        subnet: 198.51.100.0/24

- name: One has no subnet any more, the other is gone
  ovn_k8s.cluster.ovn_logical_switch:
    switches:
      - name: web
        clear: [subnet, exclude_ips]
      - name: database
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
      table: Logical_Switch
      name: web
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.logical_switch import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
