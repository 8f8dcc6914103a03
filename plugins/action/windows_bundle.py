# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `windows_bundle`: brings the bundle to a host that lacks this version of it, and makes it the one in use."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PureWindowsPath
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.bundle_action import COLLECTION, PROGRAM_DIR, Answer, BundleAction, NoBundle, version, version_dir
from ..plugin_utils.windows_bundle import bundle_files
from ..plugin_utils.windows_parts import PartError, Parts

SPEC: dict[str, Any] = {
    "program_dir": {"type": "str", "default": PROGRAM_DIR},
    "parts_dir": {"type": "path"},
    "cache_dir": {"type": "path", "default": "~/.cache/ovn-k8s"},
}
COPY = "ansible.windows.win_copy"


class ActionModule(BundleAction):
    """Carries out `windows_bundle`."""

    TRANSFERS_FILES = True
    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        _validated, arguments = self.validate_argument_spec(argument_spec=SPEC)
        base = arguments["program_dir"].rstrip("\\")
        result |= {"version": version(), "program_dir": version_dir(base), "changed": True, "installed": True}
        state = self._state(base)
        if state["used"]:
            return result | {"changed": False}
        if self._task.check_mode:
            return result | {"installed": state["whole"]}
        if not state["whole"]:
            self._bring(base, arguments)
        self.machine(base, {"operation": "use", "base": base, "version": version()})
        return result

    def _state(self, base: str) -> Answer:
        try:
            return self.machine(base, {"operation": "check", "base": base, "version": version()})
        except NoBundle:
            return {"whole": False, "used": False}

    def _bring(self, base: str, arguments: dict[str, Any]) -> None:
        parts_dir = arguments["parts_dir"]
        cache = Path(arguments["cache_dir"]).expanduser()
        parts = Parts(cache / "windows-parts", Path(parts_dir) if parts_dir else None)
        try:
            files = bundle_files(COLLECTION, parts, PureWindowsPath(version_dir(base)))
        except (PartError, OSError) as error:
            raise AnsibleActionFail(f"the Windows bundle cannot be put together: {error}") from error
        folder = Path(tempfile.mkdtemp(prefix="ovn-k8s-bundle-"))
        try:
            for name, content in files.items():
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self._copy(f"{folder}/", version_dir(base) + "\\")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _copy(self, source: str, dest: str) -> None:
        task = self._task.copy()
        task.args = {"src": source, "dest": dest}
        action = self._shared_loader_obj.action_loader.get(
            COPY,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        if action is None:
            raise AnsibleActionFail(f"{COPY} is not there; install the collection ansible.windows")
        done = action.run(task_vars=self._facts)
        if done.get("failed"):
            raise AnsibleActionFail(f"the Windows bundle cannot be copied to {dest}: {done.get('msg')}")
