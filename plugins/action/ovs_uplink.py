# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `ovs_uplink`: starts a move, connects anew, and confirms; or says why the host has undone it."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

MODULE = "ovn_k8s.cluster.ovs_uplink"
ATTEMPT_S = 0.5
BACK_S = 30.0
"""How long the host may take to be reached again after it has undone a move."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Carries out `ovs_uplink`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {key: value for key, value in self._task.args.items() if key != "step"}
        begun = time.monotonic()
        answer = self._call(arguments, task_vars)
        pending = answer.pop("pending", False)
        if answer.get("failed") or answer.get("unreachable") or not pending:
            return result | answer
        seconds = float(arguments.get("confirm_within", 30))
        said = self._persist("confirm", begun + seconds, arguments, task_vars)
        if not said.get("failed"):
            return result | answer | {"seconds": round(time.monotonic() - begun, 1)}
        state = self._persist("status", time.monotonic() + seconds + BACK_S, arguments, task_vars)
        reason = state.get("error") or said.get("msg", "")
        interface = arguments.get("interface")
        if state.get("failed"):
            message = f"{interface} was moved, and the host has not been reached since: {state['msg']}"
        else:
            message = f"{interface}: the host has put back what was before: {reason}"
        return result | {"failed": True, "msg": f"ovs_uplink: {message}", "phase": state.get("phase", "")}

    def _persist(
        self, step: str, deadline: float, arguments: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Do a step over a new connection, again and again while the host cannot be reached."""
        while True:
            self._connection.reset()
            try:
                answer = self._call(arguments | {"step": step}, task_vars)
            except AnsibleConnectionFailure as error:
                answer = {"failed": True, "unreachable": True, "msg": str(error)}
            again = answer.pop("again", False) or answer.pop("unreachable", False)
            if not again or time.monotonic() > deadline:
                return answer
            time.sleep(ATTEMPT_S)

    def _call(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        answer.pop("invocation", None)
        return answer
