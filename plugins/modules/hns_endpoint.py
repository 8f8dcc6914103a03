#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `hns_endpoint`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hns_endpoint
short_description: Manage endpoints of the Windows Host Networking Service
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Creates, changes and deletes HNS endpoints, many in one task. Options that are not given are left as they are.
  - Policies and the namespace can be changed in place.
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
  - ovn_k8s.cluster._windows.change
options:
  endpoints:
    description: The endpoints.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the endpoint. HNS does not make names unique; when several have it, that is an error.
        type: str
        required: true
      state:
        description: Whether the object is there.
        type: str
        choices: [present, absent]
        default: present
      network:
        description: Name or id of its network; needed to create it.
        type: str
      addresses:
        description: Addresses, with a prefix length (V(10.244.5.7/24)) or without one, which means that of the network.
        type: list
        elements: str
      mac:
        description: MAC address.
        type: str
      gateway:
        description: Next hop of the default route.
        type: str
      routes:
        description: Routes besides the default route.
        type: list
        elements: dict
        suboptions:
          destination:
            description: Prefix in CIDR notation.
            type: str
            required: true
          next_hop:
            description: Address of the next hop.
            type: str
            required: true
          metric:
            description: Metric of the route.
            type: int
      dns:
        description: Name resolution in containers.
        type: dict
        suboptions:
          domain:
            description: Domain of the connection.
            type: str
          search:
            description: Domains that are tried.
            type: list
            elements: str
          servers:
            description: Addresses of name servers.
            type: list
            elements: str
          options:
            description: Options of the resolver.
            type: list
            elements: str
      namespace:
        description: GUID of the namespace that it is in. An empty text takes it out of any.
        type: str
      remote:
        description: Whether it stands for an endpoint of another host.
        type: bool
      policies:
        description: The whole list of policies, but for those that HNS makes itself.
        type: list
        elements: dict
        suboptions:
          type:
            description: Type of the policy as HCN names it.
            type: str
            required: true
          settings:
            description: Settings of the policy as HCN names them. Settings that HNS adds are ignored.
            type: dict
"""

EXAMPLES = r"""
- name: An endpoint with an address of its own
  ovn_k8s.cluster.hns_endpoint:
    endpoints:
      - name: probe
        network: OVNKubernetesHybridOverlayNetwork
        addresses: [10.244.5.7]
        policies:
          - type: OutBoundNAT
            settings:
              Exceptions: [10.244.0.0/16, 10.96.0.0/16]
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, step by step.
  type: list
  elements: str
  returned: success
disruptive:
  description:
    - Whether a virtual switch comes or goes, which breaks the connections of its adapter for seconds. Without the
      bundle on the host, check mode does not know and says V(false).
  type: bool
  returned: success
"""
