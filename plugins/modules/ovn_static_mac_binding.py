#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_static_mac_binding
short_description: Manage static MAC bindings of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes static MAC bindings of logical router ports, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - Needs OVN 22.03 or newer.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_static_mac_binding
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_router_port
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: The router outside has a MAC address that need not be asked for
  ovn_k8s.cluster.ovn_static_mac_binding:
    logical_port: edge-outside
    ip: 198.51.100.1
    mac: "52:54:00:12:34:56"

- name: It is not needed any more
  ovn_k8s.cluster.ovn_static_mac_binding:
    logical_port: edge-outside
    ip: 198.51.100.1
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
      table: Static_MAC_Binding
      name: edge-outside 198.51.100.1
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.static_mac_binding import KIND


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
