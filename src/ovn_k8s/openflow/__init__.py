# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A small OpenFlow 1.4 client for Open vSwitch: flows in bundles, ports, and what changes.

OpenFlow Switch Specification 1.4.0 and, for Open vSwitch's extensions, ovs-fields(7) and ovs-actions(7).
"""
