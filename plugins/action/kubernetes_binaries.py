# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The control machine's half of `kubernetes_binaries`: digests of the source folder, and the transfer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import (
    ChecksumError,
    parse_checksums,
    sha256_of,
)

_MODULE = "ovn_k8s.cluster.kubernetes_binaries"


def source_digests(source: Path, names: list[str]) -> dict[str, str]:
    """Name -> SHA-256 digest of the executables in the folder.

    Raises AnsibleActionFail when one is missing or the folder's SHA256SUMS cannot be used.
    """
    if not source.is_dir():
        raise AnsibleActionFail(f"kubernetes_binaries_dir: {source} is not a folder on the control machine")
    missing = [name for name in names if not (source / name).is_file()]
    if missing:
        raise AnsibleActionFail(
            f"kubernetes_binaries_dir: {source} has no {', '.join(missing)}. Put the release binaries there, or "
            "leave kubernetes_binaries_dir empty, so that they are taken from the projects' releases."
        )
    sums = source / "SHA256SUMS"
    if not sums.exists():
        return {name: sha256_of(source / name) for name in names}
    try:
        known = parse_checksums(sums.read_text(encoding="utf-8"), str(sums))
    except ChecksumError as error:
        raise AnsibleActionFail(str(error)) from error
    unlisted = [name for name in names if name not in known]
    if unlisted:
        raise AnsibleActionFail(
            f"{sums} has no line for {', '.join(unlisted)}. Write it anew: (cd {source} && sha256sum * > SHA256SUMS)"
        )
    return {name: known[name] for name in names}


class ActionModule(ActionBase):
    """Send to the machine only those executables that it does not have yet."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state", "present") == "absent":
            return self._module(arguments, task_vars)
        if not arguments.get("source"):
            raise AnsibleActionFail("source is required: the folder on the control machine")
        source = Path(str(arguments["source"])).expanduser()
        names = [str(name) for name in arguments.get("names") or []]
        arguments["digests"] = source_digests(source, names)
        result = self._module(arguments, task_vars)
        if result.get("failed") or not result["installed"] or self._task.check_mode:
            return result
        folder = self._make_tmp_path()
        staged = {}
        try:
            for name in result["installed"]:
                staged[name] = self._connection._shell.join_path(folder, name)
                self._connection.put_file(str(source / name), staged[name])
            return self._module({**arguments, "staged": staged}, task_vars)
        finally:
            self._remove_tmp_path(folder, force=True)

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        return result
