# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The control machine's half of `kubernetes_images`: what the archives hold, and the transfer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import sha256_of
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.images import (
    ImageArchiveError,
    image_names,
)

_MODULE = "ovn_k8s.cluster.kubernetes_images"


class ActionModule(ActionBase):
    """Send to the machine only those archives whose images it does not have."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        paths = [Path(str(path)).expanduser() for path in arguments.get("archives") or []]
        if not paths:
            return {"changed": False, "imported": []}
        images = []
        for path in paths:
            if not path.is_file():
                raise AnsibleActionFail(f"kubernetes_image_archives: {path} is not a file on the control machine")
            try:
                images.append({"archive": str(path), "names": image_names(path), "sha256": sha256_of(path)})
            except ImageArchiveError as error:
                raise AnsibleActionFail(f"kubernetes_image_archives: {error}") from error
        arguments["archives"] = [str(path) for path in paths]
        arguments["images"] = images
        result = self._module(arguments, task_vars)
        if result.get("failed") or not result["imported"] or self._task.check_mode:
            return result
        folder = self._make_tmp_path()
        staged = {}
        try:
            for number, archive in enumerate(result["imported"]):
                staged[archive] = self._connection._shell.join_path(folder, f"image-{number}.tar")
                self._connection.put_file(archive, staged[archive])
            return self._module({**arguments, "staged": staged}, task_vars)
        finally:
            self._remove_tmp_path(folder, force=True)

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        return result
