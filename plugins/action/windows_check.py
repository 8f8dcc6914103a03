# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `windows_check`: asks the bundle what the machine is, judges it, and returns what the role goes by."""

from __future__ import annotations

import time
from typing import Any

from ..plugin_utils.bundle_action import PROGRAM_DIR, BundleAction, NoBundle
from ..plugin_utils.windows_rules import Wishes, adapter_of, features, pod_mtu, problems, warnings

SPEC: dict[str, Any] = {
    "node_name": {"type": "str", "required": True},
    "node_ip": {"type": "str", "required": True},
    "datapath": {"type": "str", "choices": ["hybrid_overlay", "ovs"], "required": True},
    "runtime": {"type": "str", "choices": ["containerd", "docker"], "required": True},
    "adapter": {"type": "str", "default": ""},
    "mtu": {"type": "int", "default": 0},
    "may_reboot": {"type": "bool", "default": True},
    "program_dir": {"type": "str", "default": PROGRAM_DIR},
}


class ActionModule(BundleAction):
    """Carries out `windows_check`."""

    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        _validated, arguments = self.validate_argument_spec(argument_spec=SPEC)
        program_dir = arguments.pop("program_dir")
        before = time.time()
        try:
            facts = self.machine(program_dir, {"operation": "facts"})
        except NoBundle:
            if not self._task.check_mode:
                raise
            said = "the bundle is not installed yet, so check mode cannot look at this machine"
            unknown = {"adapter": arguments["adapter"], "mtu": arguments["mtu"], "features": [], "facts": {}}
            return result | unknown | {"changed": False, "warnings": [said]}
        wishes = Wishes(**arguments, now=(before + time.time()) / 2)
        found = problems(facts, wishes)
        if found:
            listed = "\n".join(f"  {number}. {problem}." for number, problem in enumerate(found, 1))
            return result | {
                "failed": True,
                "msg": f"This machine cannot be part of the cluster; nothing but the bundle was put on it:\n{listed}",
            }
        return result | {
            "changed": False,
            "facts": facts,
            "adapter": adapter_of(facts, wishes),
            "mtu": pod_mtu(facts, wishes),
            "features": features(facts),
            "warnings": warnings(facts, wishes),
        }
