# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The one place that opens OVSDB connections: a blocking client for modules and a live replica for daemons.

The protocol is RFC 7047 with the extensions of ovsdb-server(7). Only the standard library is imported, so that a
module runs on a node as bare as its distribution leaves it.
"""
