#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `hns_load_balancer`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hns_load_balancer
short_description: Manage load balancers of the Windows Host Networking Service
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Creates, changes and deletes HNS load balancers, many in one task. They have no names; frontend addresses, protocols
    and external ports together say which one is meant.
  - Endpoints and ports can be changed in place from HNS 15.4 on; before, a change is a replacement.
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
  - ovn_k8s.cluster._windows.change
options:
  load_balancers:
    description: The load balancers.
    type: list
    elements: dict
    required: true
    suboptions:
      state:
        description: Whether the object is there.
        type: str
        choices: [present, absent]
        default: present
      vips:
        description: Frontend addresses. Without any it balances what comes to the host's own addresses.
        type: list
        elements: str
      ports:
        description: Ports and where they lead.
        type: list
        elements: dict
        required: true
        suboptions:
          protocol:
            description: V(tcp), V(udp), V(sctp), V(icmp) or a protocol number.
            type: str
            required: true
          external_port:
            description: Port of the frontend.
            type: int
            required: true
          internal_port:
            description: Port of the endpoints; the external port when it is not given.
            type: int
          distribution:
            description: What goes to the same endpoint.
            type: str
            choices: [connection, client_and_protocol, client]
          internal:
            description: Whether it is an internal load balancer.
            type: bool
          local_routed_vip:
            description: Whether the host itself reaches the frontend.
            type: bool
          use_mux:
            description: Whether node ports use direct server return.
            type: bool
          preserve_destination:
            description: Whether endpoints see the frontend's address as destination.
            type: bool
      endpoints:
        description: The whole list of endpoints, by name or id.
        type: list
        elements: str
      source_vip:
        description: Source address of what is sent to endpoints on other hosts.
        type: str
      dsr:
        description: Whether endpoints answer clients directly (direct server return).
        type: bool
      ipv6:
        description: Whether it is for IPv6.
        type: bool
"""

EXAMPLES = r"""
- name: One service on two endpoints
  ovn_k8s.cluster.hns_load_balancer:
    load_balancers:
      - vips: [10.96.0.20]
        ports:
          - protocol: tcp
            external_port: 80
            internal_port: 8080
        endpoints: [default_web-1, default_web-2]
        dsr: true
    replace: true
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
