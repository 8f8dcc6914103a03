#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_dns
short_description: Manage DNS records of OVN
version_added: 0.1.0
description:
  - Creates, changes and deletes sets of DNS records, all of one call in one transaction.
  - What is not given stays as it is, or is the database's default in what is new.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.ovn_dns
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options: {}
seealso:
  - module: ovn_k8s.cluster.ovn_logical_switch
  - module: ovn_k8s.cluster.ovn_nb
"""

EXAMPLES = r"""
- name: Names that machines find without a DNS server
  ovn_k8s.cluster.ovn_dns:
    name: office
    records:
      printer.example.org: [192.0.2.20, "2001:db8::20"]
      20.2.0.192.in-addr.arpa: [printer.example.org]

- name: A switch that answers with them
  ovn_k8s.cluster.ovn_logical_switch:
    name: web
    dns_records: [office]
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: DNS
      name: office
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.dns import KIND
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.single import run


def main() -> None:
    run(KIND)


if __name__ == "__main__":
    main()
