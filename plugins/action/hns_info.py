# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `hns_info`: see the module of this name for its options."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.bundle_action import Answer
from ..plugin_utils.hns_action import HnsAction
from ..plugin_utils.hns_arguments import HNS_INFO, KINDS


class ActionModule(HnsAction):
    """Carries out `hns_info`."""

    spec = HNS_INFO
    _VALID_ARGS = frozenset(HNS_INFO)

    def carry_out(self, arguments: dict[str, Any]) -> Answer:
        self._program_dir = arguments["program_dir"]
        info = self.hns({"operation": "info"})
        name = arguments["name"]
        result: Answer = {"changed": False, "version": info["version"], "features": info["features"]}
        for kind in KINDS:
            if kind in arguments["gather"]:
                result[kind] = [item for item in info[kind] if name is None or item.get("name") == name]
        return result
