# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kinds of objects that HNS has, by the names in its functions."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """Part of a function's name: HcnCreateNetwork, …"""

    NETWORK = "Network"
    ENDPOINT = "Endpoint"
    NAMESPACE = "Namespace"
    LOAD_BALANCER = "LoadBalancer"
