# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""ovn-k8s-gateway-helper: keeps the flows of a gateway's shared bridge, whatever restarts or changes beside it."""
