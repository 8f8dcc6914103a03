# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Addresses between a node's kernel and the network, for services. They are link-local and never leave the node.

A node port is asked for at an address of the node, which its kernel takes for itself. So the kernel asks the network at
an address of these instead, at which load balancers have every node port: there need not be a rule for each service.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

ALIASES = IPv4Network("169.254.0.0/29")
"""All of them; with them `HAIRPIN_SOURCE` of the load balancers, 169.254.0.5."""
NODE_PORTS_WITHIN = IPv4Address("169.254.0.2")
"""Node ports for processes of the node: always every endpoint."""
NODE_PORTS_OUTSIDE = IPv4Address("169.254.0.3")
"""Node ports for who comes from outside: with externalTrafficPolicy Local only endpoints of this node."""
HAS_ENDPOINT, HAS_NO_ENDPOINT = 9411, 9412
"""Ports at a node's address where the node agent says so to load balancers that ask (`node.local_endpoints`)."""
NODE_ITSELF = IPv4Address("169.254.0.6")
"""The client that a server of a node sees when a process of the same node asks it through a service."""
