# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Links, addresses and routes of the kernel, here or in another network namespace; no `ip` processes."""
