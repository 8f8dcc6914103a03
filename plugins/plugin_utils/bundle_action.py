# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What actions for Windows share: programs of the bundle, run on the host through the host's own connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from .windows_bundle import bundle_version

COMMAND = "ansible.windows.win_command"
MACHINE = "ovn_k8s.windows.machine"
COLLECTION = Path(__file__).resolve().parents[2]
PROGRAM_DIR = r"C:\Program Files\ovn-k8s"

Answer = dict[str, Any]


class NoBundle(AnsibleActionFail):  # type: ignore[misc]
    """The host did not answer as the bundle does; the message has what it said instead."""


class BundleAction(ActionBase):  # type: ignore[misc]
    """Base of the actions. `_facts` are the variables of the task."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _facts: Mapping[str, Any] = {}

    def command(self, argv: list[str], stdin: str = "") -> Answer:
        """Run a program on the host, in check mode too: what is asked of it changes nothing then.

        Raises AnsibleConnectionFailure.
        """
        parameters = {"argv": argv, "stdin": stdin}
        check_mode = self._task.check_mode
        self._task.check_mode = False
        try:
            answer: Answer = self._execute_module(module_name=COMMAND, module_args=parameters, task_vars=self._facts)
        except OSError as error:
            # The connection plugin winrm lets errors of its library through.
            raise AnsibleConnectionFailure(f"the connection broke: {error}") from error
        finally:
            self._task.check_mode = check_mode
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg")))
        return answer

    def ask(self, argv: list[str], request: Mapping[str, Any]) -> Answer:
        """One request as JSON to a program of the bundle; its answer.

        Raises:
            NoBundle: nothing of the bundle answered.
            AnsibleActionFail: the program refused, with its words.
            AnsibleConnectionFailure: the connection broke.
        """
        done = self.command(argv, json.dumps(request))
        try:
            answer: Answer = json.loads(done.get("stdout", ""))
        except ValueError:
            said = " ".join(str(done.get(key) or "") for key in ("msg", "stderr", "stdout")).strip()
            raise NoBundle(
                f"the Windows bundle of this collection does not answer: {argv[0]} said: {said[:2000]}; is it "
                "installed (role windows_worker), and is program_dir right?"
            ) from None
        if not answer.get("ok"):
            raise AnsibleActionFail(str(answer.get("error") or answer))
        return answer

    def machine(self, program_dir: str, request: Mapping[str, Any]) -> Answer:
        """One request to `ovn_k8s.windows.machine` of the bundle of this very collection. Raises as `ask`."""
        return self.ask([f"{version_dir(program_dir)}\\python.exe", "-m", MACHINE], request)

    def machine_in_use(self, program_dir: str, request: Mapping[str, Any]) -> Answer:
        """The same by whichever version is in use: what another version has made goes too. Raises as `ask`."""
        return self.ask([program_dir.rstrip("\\") + r"\bin\ovn-k8s-machine.exe"], request)


def version() -> str:
    """The version of the bundle that this collection makes. Raises AnsibleActionFail when it is not whole."""
    try:
        return bundle_version(COLLECTION)
    except OSError as error:
        raise AnsibleActionFail(str(error)) from error


def version_dir(program_dir: str) -> str:
    """Where that bundle is on a host."""
    return program_dir.rstrip("\\") + "\\" + version()
