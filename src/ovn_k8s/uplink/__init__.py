# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Moving a NIC, with all that it has, onto a bridge of Open vSwitch, and back, without locking anybody out."""
