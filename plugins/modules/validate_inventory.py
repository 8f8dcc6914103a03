#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `validate_inventory`, which its action plugin of the same name carries out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_inventory
short_description: Check that a cluster can be made of the inventory
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Checks the variables of all hosts in the groups C(masters), C(linux_workers), C(windows_workers) and C(gateways),
    whatever C(--limit) says, and tells all problems at once. Opens no connection.
  - Use it with C(run_once), and register the result.
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
  platform:
    description: Runs on the control machine.
    support: full
    platforms: all
options: {}
"""

EXAMPLES = r"""
- name: Check the inventory
  ovn_k8s.cluster.validate_inventory:
  run_once: true
  register: cluster_inventory
"""

RETURN = r"""
hosts:
  description: Group, node name and node address of each host, by its name in the inventory.
  type: dict
  returned: success
first_master:
  description: The host, by its name in the inventory, that has the northbound database.
  type: str
  returned: success
masters:
  description: Hosts of the group.
  type: list
  elements: str
  returned: success
master_addresses:
  description: Node addresses of the masters.
  type: list
  elements: str
  returned: success
linux:
  description: Hosts of all groups but C(windows_workers).
  type: list
  elements: str
  returned: success
windows:
  description: Hosts of the group C(windows_workers).
  type: list
  elements: str
  returned: success
workers:
  description: Hosts that run pods.
  type: list
  elements: str
  returned: success
gateways:
  description: Hosts of the group.
  type: list
  elements: str
  returned: success
first_service_address:
  description: Address of the service C(default/kubernetes).
  type: str
  returned: success
northbound_remote:
  description: Where masters reach the northbound database.
  type: str
  returned: success
southbound_remote:
  description: Where nodes reach the southbound database.
  type: str
  returned: success
topology:
  description: Master, nodes and gateways of this play, as the module M(ovn_k8s.cluster.ovn_k8s_topology) takes them.
  type: dict
  returned: success
"""
