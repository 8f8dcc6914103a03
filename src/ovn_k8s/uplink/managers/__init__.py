# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Network managers: which one has a NIC, and how each is told that a bridge has the addresses from now on."""
