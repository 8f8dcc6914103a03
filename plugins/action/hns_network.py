# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `hns_network`: see the module of this name for its options, and `hns_action` for how it works."""

from __future__ import annotations

from ..plugin_utils.hns_action import HnsAction
from ..plugin_utils.hns_arguments import HNS_NETWORK


class ActionModule(HnsAction):
    """Carries out `hns_network`."""

    kind = "networks"
    spec = HNS_NETWORK
    _VALID_ARGS = frozenset(HNS_NETWORK)
