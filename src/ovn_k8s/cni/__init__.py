# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Container Network Interface: the executable that runtimes call (`shim`) and the protocol (`protocol`)."""
