# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `check_machine`: judges a machine by its facts, without touching it, and returns the MTU that its pods get."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..plugin_utils.machine_rules import Wishes, pod_mtu, problems

ARGUMENTS: dict[str, Any] = {
    "node_ip": {"type": "str", "required": True},
    "datapath_type": {"type": "str", "required": True, "choices": ["system", "netdev"]},
    "kernel_module": {"type": "bool", "required": True},
    "mtu": {"type": "int", "required": True},
    "underlay_interface": {"type": "str", "required": True},
    "gateway_interface": {"type": "str", "required": True},
    "gateway_bridge": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Fails with all problems of the machine at once; returns `mtu` in bytes."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        facts = (task_vars or {}).get("ansible_facts", {})
        validated = ArgumentSpecValidator(ARGUMENTS).validate(self._task.args)
        if validated.error_messages:
            raise AnsibleActionFail("check_machine: " + "; ".join(validated.error_messages))
        if "interfaces" not in facts or "distribution" not in facts:
            raise AnsibleActionFail(
                "check_machine needs facts: run ansible.builtin.setup with gather_subset [min, network] before it"
            )
        wishes = Wishes(**validated.validated_parameters)
        found = problems(facts, wishes)
        if found:
            listed = "\n".join(f"  {number}. {problem}." for number, problem in enumerate(found, 1))
            return result | {
                "failed": True,
                "msg": f"This machine cannot be part of the cluster; nothing has been changed on any host:\n{listed}",
            }
        return result | {"changed": False, "mtu": pod_mtu(facts, wishes)}
