#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_dhcp_options
short_description: Manage DHCP options of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes sets of DHCP options, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
  - Ports name the set that they are served with.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_dhcp_options
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch_port
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: What machines of a network are told
  ovn_k8s.cluster.ovn_dhcp_options:
    name: office
    cidr: 192.0.2.0/24
    server_id: 192.0.2.1
    server_mac: "0a:58:c0:00:02:01"
    lease_time: 3600
    router: 192.0.2.1
    dns_server: [192.0.2.53, 192.0.2.54]
    domain_name: example.org

- name: A port that is served with it
  ovn_k8s.cluster.ovn_logical_switch:
    name: web

- name: The port
  ovn_k8s.cluster.ovn_logical_switch_port:
    name: machine1
    switch: web
    addresses: ["0a:58:c0:00:02:0a 192.0.2.10"]
    dhcpv4_options: office
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: DHCP_Options
      name: office
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.dhcp_options import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
