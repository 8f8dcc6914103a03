#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_ha_chassis_group
short_description: Manage HA chassis groups of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes HA chassis groups, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_ha_chassis_group
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router_port
  - module: ovn_k8s.cluster.ovn_logical_switch_port
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: Two chassis of which the first is preferred
  ovn_k8s.cluster.ovn_ha_chassis_group:
    name: gateways
    chassis:
      - {chassis: gateway1, priority: 20}
      - {chassis: gateway2, priority: 10}

- name: Now the second
  ovn_k8s.cluster.ovn_ha_chassis_group:
    name: gateways
    chassis:
      - {chassis: gateway1, priority: 5}
      - {chassis: gateway2, priority: 10}
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: HA_Chassis_Group
      name: gateways
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.ha_chassis_group import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
