#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `hns_network`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hns_network
short_description: Manage networks of the Windows Host Networking Service
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Creates, changes and deletes HNS networks, many in one task. Options that are not given are left as they are.
  - The first network of an external type (Transparent, L2Bridge, L2Tunnel, Overlay) on an adapter makes a virtual
    switch, and the last one that goes removes it; meanwhile the host cannot be reached through that adapter. The change
    is then made detached from the connection, the host is waited for, and the outcome is verified.
  - DNS, extensions, O(networks[].host_route), O(networks[].remote_subnets) and some policies can be changed in place.
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
  - ovn_k8s.cluster._windows.change
options:
  networks:
    description: The networks.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the network. HNS does not make names unique; when several have it, that is an error.
        type: str
        required: true
      state:
        description: Whether the object is there.
        type: str
        choices: [present, absent]
        default: present
      type:
        description: Type of the network; needed to create it.
        type: str
        choices: [NAT, Transparent, L2Bridge, L2Tunnel, ICS, Private, Overlay, Internal]
      adapter:
        description: Name of the physical adapter of an external network. HNS chooses one when it is not given.
        type: str
      subnets:
        description: Address ranges of the network.
        type: list
        elements: dict
        suboptions:
          prefix:
            description: Prefix in CIDR notation.
            type: str
            required: true
          gateway:
            description: Address of the gateway, in the prefix; needed to create the network.
            type: str
          vsid:
            description: VXLAN network identifier of an overlay, 4096 or more.
            type: int
          vlan:
            description: VLAN of the subnet.
            type: int
          routes:
            description: Routes besides the default route to the gateway.
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
      source_mac:
        description: MAC address of the host on the network.
        type: str
      provider_address:
        description: Address of the adapter by which the network is bound.
        type: str
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
      automatic_dns:
        description: Whether HNS serves names itself.
        type: bool
      vxlan_port:
        description: UDP port of an overlay, when it is not 4789.
        type: int
      host_route:
        description: Whether containers of an overlay reach their own host.
        type: bool
      host_port:
        description: Whether the host gets an adapter on the network; V(false) needs HNS 15.1.
        type: bool
      persistent:
        description: Whether the network outlives a restart of the host.
        type: bool
      remote_subnets:
        description: The whole list of prefixes that are on other nodes of an overlay.
        type: list
        elements: dict
        suboptions:
          prefix:
            description: Prefix in CIDR notation.
            type: str
            required: true
          isolation_id:
            description: VXLAN network identifier.
            type: int
            required: true
          provider_address:
            description: Address of the other node.
            type: str
            required: true
          router_mac:
            description: MAC address to which the other node's overlay router answers.
            type: str
            required: true
      extensions:
        description: Switch extensions by their GUID, V(true) to enable and V(false) to disable one.
        type: dict
      policies:
        description: The whole list of policies that have no option of their own.
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
  force:
    description: Delete the endpoints of a network with it. Without it a network that has endpoints is not deleted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Overlay network of hybrid overlay
  ovn_k8s.cluster.hns_network:
    networks:
      - name: OVNKubernetesHybridOverlayNetwork
        type: Overlay
        adapter: Ethernet
        persistent: false
        host_route: true
        subnets:
          - prefix: 10.244.5.0/24
            gateway: 10.244.5.1
            vsid: 4097

- name: Remove a network with all that is on it
  ovn_k8s.cluster.hns_network:
    networks:
      - name: nat
        state: absent
    force: true
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
