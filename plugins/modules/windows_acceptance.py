#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `windows_acceptance`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_acceptance
short_description: Try on a Windows node what this collection takes for granted about Windows
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
description:
  - Looks at machine, services and networks, tries the modules for HNS step by step on a network of its own
    (C(ovn-k8s-acceptance), 198.18.0.0/24), which it removes, and ends the service C(ovn-k8s) by force to see whether
    Windows starts it again. Never fails because something is not as assumed; M(ovn_k8s.cluster.verify_report) does.
  - The playbook C(windows_acceptance) uses it and makes a report.
options:
  adapter:
    description: The physical adapter of the node's overlay networks.
    type: str
    required: true
  services:
    description: Services that have to run.
    type: list
    elements: str
    required: true
  networks:
    description: Networks that have to be there.
    type: list
    elements: str
    default: []
  parts:
    description: What is tried.
    type: list
    elements: str
    choices: [machine, services, networks, hns, recovery]
    default: [machine, services, networks, hns, recovery]
  when:
    description: Words for the report that say when this is.
    type: str
    default: ""
  timeout:
    description: Seconds to wait for HNS, and for the host to come back when its network was changed.
    type: int
    default: 120
attributes:
  check_mode:
    description: Only looks.
    support: full
"""

EXAMPLES = r"""
- name: Try what is taken for granted
  ovn_k8s.cluster.windows_acceptance:
    adapter: Ethernet
    services: [hns, containerd, ovn-k8s, kubelet, kube-proxy]
"""

RETURN = r"""
results:
  description: One for each check, in the form of M(ovn_k8s.cluster.verify_report).
  type: list
  elements: dict
  returned: success
facts:
  description: What the machine is.
  type: dict
  returned: success
hns:
  description: What HNS has.
  type: dict
  returned: success
"""
