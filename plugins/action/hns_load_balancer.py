# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `hns_load_balancer`: see the module of this name for its options, and `hns_action` for how it works."""

from __future__ import annotations

from ..plugin_utils.hns_action import HnsAction
from ..plugin_utils.hns_arguments import HNS_LOAD_BALANCER


class ActionModule(HnsAction):
    """Carries out `hns_load_balancer`."""

    kind = "load_balancers"
    spec = HNS_LOAD_BALANCER
    _VALID_ARGS = frozenset(HNS_LOAD_BALANCER)
