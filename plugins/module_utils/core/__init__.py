# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pure logic: desired rows, plans, topology and addresses. No input or output, no third-party import."""
