# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the actions for HNS share: the bundle's Python on the host, run through the host's own connection.

A change that makes or removes a virtual switch breaks that connection. It is started detached from it, then the host
is reached again, the outcome fetched, and looked at afresh whether everything is as wanted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ..module_utils.core.hns.errors import HnsError
from ..module_utils.core.hns.options import read_wanted
from .bundle_action import Answer, BundleAction, NoBundle

PROGRAM = "bin\\ovn-k8s-hns.exe"
"""Of whichever version of the bundle is in use on the host."""
POLL_SECONDS = 2.0


class HnsAction(BundleAction):
    """Base of the actions. `kind` is the list of objects that the action takes."""

    kind = ""
    spec: Mapping[str, Any] = {}
    poll_seconds = POLL_SECONDS

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        _validated, arguments = self.validate_argument_spec(argument_spec=dict(self.spec))
        return result | self.carry_out(arguments)

    def carry_out(self, arguments: dict[str, Any]) -> Answer:
        """Make the objects as wanted, or say what would be done."""
        wanted = {self.kind: _given(arguments[self.kind])}
        try:
            read_wanted(wanted)
        except HnsError as error:
            raise AnsibleActionFail(str(error)) from error
        request = {"wanted": wanted, "replace": arguments["replace"], "force": arguments.get("force", False)}
        self._program_dir = arguments["program_dir"]
        try:
            plan = self.hns({"operation": "plan", **request})
        except NoBundle:
            if not self._task.check_mode:
                raise
            actions = ["what the bundle would find, which is not installed yet"]
            return {"changed": True, "actions": actions, "disruptive": False}
        result = {"changed": plan["changed"], "actions": plan["actions"], "disruptive": plan["disruptive"]}
        result["diff"] = plan["diff"]
        if plan["changed"] and not self._task.check_mode:
            deadline = time.monotonic() + arguments["timeout"]
            if plan["disruptive"]:
                self._apply_detached(request, deadline)
            else:
                self._apply(request, deadline)
        return result

    def _apply(self, request: Answer, deadline: float) -> None:
        try:
            self.hns({"operation": "apply", **request})
        except AnsibleConnectionFailure:
            # What was done before the connection broke stays done; the rest is done now.
            self._reach_again(deadline)
            self.hns({"operation": "apply", **request})

    def _apply_detached(self, request: Answer, deadline: float) -> None:
        job = uuid.uuid4().hex[:12]
        while True:
            try:
                self.hns({"operation": "apply", "detached": True, "job": job, **request})
                break
            except AnsibleConnectionFailure:
                # It may have begun, and taken the connection away before it answered: it is not begun twice.
                self._reach_again(deadline)
        while True:
            time.sleep(self.poll_seconds)
            self._reach_again(deadline)
            try:
                outcome = self.hns({"operation": "result", "job": job})
            except AnsibleConnectionFailure:
                continue
            if not outcome["running"]:
                break
            if time.monotonic() > deadline:
                raise AnsibleActionFail(
                    f"request {job} still runs on the host after {outcome.get('seconds')} s; HNS may hang: look into "
                    "the event log of the host, and run this again"
                )
        _checked(outcome["answer"])
        left = self.hns({"operation": "plan", **request})
        if left["changed"]:
            raise AnsibleActionFail(
                f"HNS said that it was done, but this is still not as wanted: {'; '.join(left['actions'])}"
            )

    def _reach_again(self, deadline: float) -> None:
        """Wait until the host answers on a new connection."""
        while True:
            with suppress(AnsibleError, NotImplementedError):
                self._connection.reset()
            try:
                if self.command(["cmd.exe", "/c", "exit 0"]).get("rc") == 0:
                    return
                cause = "it runs no commands"
            except AnsibleConnectionFailure as error:
                cause = str(error)
            if time.monotonic() > deadline:
                raise AnsibleConnectionFailure(f"the host has not come back after its network was changed: {cause}")
            time.sleep(self.poll_seconds)

    def hns(self, request: Answer) -> Answer:
        """One request to the host; its answer. Raises as `ask`."""
        return self.ask([self._program_dir.rstrip("\\") + "\\" + PROGRAM], request)


def _checked(answer: Answer) -> Answer:
    if not answer.get("ok"):
        raise AnsibleActionFail(str(answer.get("error") or answer))
    return answer


def _given(value: Any) -> Any:
    """Arguments without those that were not given, at every depth."""
    if isinstance(value, Mapping):
        return {str(key): _given(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_given(member) for member in value]
    return value
