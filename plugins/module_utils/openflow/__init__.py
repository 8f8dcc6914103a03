# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A small OpenFlow 1.4 client for Open vSwitch: flows in bundles, ports, and what changes.

Shared by the module `ovs_flow` and the programs, and of the standard library only: modules run on bare nodes.

OpenFlow Switch Specification 1.4.0 and, for Open vSwitch's extensions, ovs-fields(7) and ovs-actions(7).
"""
