# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `programs`: packs the collection's programs and sends them to a host that lacks this version."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.machine.program_tree import SHIM_SOURCE
from ..plugin_utils.program_archive import archive, program_files

MODULE = "ovn_k8s.cluster.programs"
COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Carries out `programs`."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_async = False
    _VALID_ARGS = frozenset({"launchers", "cni_shim", "state"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        if arguments.get("state", "present") != "present":
            return result | self._call(arguments, task_vars)
        try:
            files = program_files(COLLECTION)
        except OSError as error:
            raise AnsibleActionFail(str(error)) from error
        digest, packed = archive(files)
        arguments["digest"] = digest
        if arguments.get("cni_shim"):
            if SHIM_SOURCE not in files:
                raise AnsibleActionFail(f"the collection has no {SHIM_SOURCE}; it is not whole, install it again")
            arguments["shim_sha256"] = sha256(files[SHIM_SOURCE]).hexdigest()
        answer = self._call(arguments, task_vars)
        if answer.get("failed") or answer.get("unreachable") or not answer.get("transfer"):
            return result | answer
        folder = self._make_tmp_path()
        try:
            with tempfile.NamedTemporaryFile(prefix="ovn-k8s-", suffix=".zip") as local:
                local.write(packed)
                local.flush()
                remote = self._transfer_file(local.name, self._connection._shell.join_path(folder, "programs.zip"))
            self._fixup_perms2((folder, remote))
            return result | self._call(arguments | {"archive": remote}, task_vars)
        finally:
            self._remove_tmp_path(folder, force=True)

    def _call(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        answer.pop("invocation", None)
        return answer
