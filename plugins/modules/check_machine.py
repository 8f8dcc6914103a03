#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `check_machine`, which its action plugin of the same name carries out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check_machine
short_description: Check by its facts that a machine can be part of a cluster
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Looks at facts of the subsets C(min) and C(network), which have to be gathered before.
  - Tells all problems at once.
    Opens no connection.
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
    description: Runs on the control machine, about a machine of this kind.
    support: full
    platforms: linux
options:
  node_ip:
    description: Address that the machine must have.
    type: str
    required: true
  datapath_type:
    description: Datapath that it is going to have.
    type: str
    required: true
    choices: [system, netdev]
  kernel_module:
    description: Whether its kernel has the module C(openvswitch).
    type: bool
    required: true
  mtu:
    description: MTU of pods in bytes; V(0) for that of the underlay less 100.
    type: int
    required: true
  underlay_interface:
    description: Interface that Open vSwitch is going to take; may be empty.
    type: str
    required: true
  gateway_interface:
    description: Interface towards the outside; may be empty.
    type: str
    required: true
  gateway_bridge:
    description: The bridge that takes O(gateway_interface) when the machine itself goes on to use it; empty when not.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Gather the facts that are looked at
  ansible.builtin.setup:
    gather_subset: ["!all", network]

- name: Check the machine
  ovn_k8s.cluster.check_machine:
    node_ip: 192.0.2.12
    datapath_type: system
    kernel_module: true
    mtu: 0
    underlay_interface: ''
    gateway_interface: ''
"""

RETURN = r"""
mtu:
  description: The MTU that pods get, in bytes.
  type: int
  returned: success
"""
