# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The command ovn-k8s-overlay: a node's host part, and the logical network for people without Ansible."""
