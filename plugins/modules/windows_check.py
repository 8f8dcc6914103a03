#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `windows_check`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_check
short_description: Judge whether a Windows machine can be a node
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
description:
  - Asks the bundle on the host what the machine is, and fails with everything that stands in the way, all at once. It
    looks at the build and edition, a restart that is pending, the clock, the adapters, the MTU, the version of HNS and
    other container runtimes.
options:
  node_name:
    description: Name of the node.
    type: str
    required: true
  node_ip:
    description: The node's IPv4 address in the network between the nodes.
    type: str
    required: true
  datapath:
    description: How pods are joined to the others.
    type: str
    choices: [hybrid_overlay, ovs]
    required: true
  runtime:
    description: The container runtime that the node shall have.
    type: str
    choices: [containerd, docker]
    required: true
  adapter:
    description: Physical adapter in the network between the nodes. Empty takes the one that has O(node_ip).
    type: str
    default: ""
  mtu:
    description: MTU that pods shall have, in bytes. V(0) takes what the adapter leaves.
    type: int
    default: 0
  may_reboot:
    description: Whether a restart that is pending is somebody's business later, and no problem.
    type: bool
    default: true
attributes:
  check_mode:
    description: Changes nothing. Where the bundle is not there yet, check mode knows nothing of the machine.
    support: full
"""

EXAMPLES = r"""
- name: Check the machine
  ovn_k8s.cluster.windows_check:
    node_name: win1
    node_ip: 10.20.0.21
    datapath: hybrid_overlay
    runtime: containerd
"""

RETURN = r"""
facts:
  description: What the machine is.
  type: dict
  returned: success
adapter:
  description: The physical adapter in the network between the nodes.
  type: str
  returned: success
mtu:
  description: The MTU that pods get, in bytes.
  type: int
  returned: success
features:
  description: What the machine's HNS can do; empty while there is none.
  type: list
  elements: str
  returned: success
"""
