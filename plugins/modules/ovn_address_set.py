#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_address_set
short_description: Manage address sets of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes address sets, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_address_set
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_acl
  - module: ovn_k8s.cluster.ovn_nat
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: Addresses that rules mean as $friends
  ovn_k8s.cluster.ovn_address_set:
    name: friends
    addresses: [192.0.2.0/24, 198.51.100.7]

- name: Nobody is left
  ovn_k8s.cluster.ovn_address_set:
    name: friends
    addresses: []
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Address_Set
      name: friends
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.address_set import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
