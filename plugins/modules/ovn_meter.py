#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_meter
short_description: Manage meters of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes meters with their bands, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_meter
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
- name: At most ten log messages a second for each rule
  ovn_k8s.cluster.ovn_meter:
    name: logging
    unit: pktps
    bands:
      - {rate: 10, burst: 20}
    fair: true

- name: Twenty
  ovn_k8s.cluster.ovn_meter:
    name: logging
    bands:
      - {rate: 20, burst: 20}
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Meter
      name: logging
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.meter import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
