# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A node's own part of the network: bridges, management port, addresses, routes, gateway interface."""
