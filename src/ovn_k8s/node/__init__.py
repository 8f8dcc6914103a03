# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The node agent: attaches pods to Open vSwitch for the CNI executable."""
