# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `windows_openvswitch`: see the module of this name for its options."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.bundle_action import PROGRAM_DIR, BundleAction, NoBundle

CHASSIS = ("name", "address", "southbound", "uplink", "private_key", "certificate", "ca_certificate", "encapsulation")
SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    **{name: {"type": "str", "no_log": False} for name in CHASSIS[1:7]},
    "encapsulation": {"type": "str", "choices": ["geneve", "vxlan"], "default": "geneve"},
    "remote": {"type": "str", "default": "tcp:127.0.0.1:6640"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "program_dir": {"type": "str", "default": PROGRAM_DIR},
}


class ActionModule(BundleAction):
    """Carries out `windows_openvswitch`."""

    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        required = [("state", "present", CHASSIS[1:7])]
        _validated, arguments = self.validate_argument_spec(argument_spec=SPEC, required_if=required)
        request: dict[str, Any] = {"operation": "openvswitch", "check": bool(self._task.check_mode)}
        request["remote"] = arguments["remote"]
        if arguments["state"] == "absent":
            request["absent"] = arguments["name"]
        else:
            request["chassis"] = {name: arguments[name] for name in CHASSIS}
        try:
            ask = self.machine_in_use if arguments["state"] == "absent" else self.machine
            answer = ask(arguments["program_dir"], request)
        except NoBundle:
            if not self._task.check_mode:
                raise
            return result | {"changed": True, "changes": ["what the bundle would find, which is not installed yet"]}
        return result | {key: answer[key] for key in ("changed", "changes", "diff")}
