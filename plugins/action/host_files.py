# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `host_files`: renders templates and reads sources on the control machine, then calls the module once.

Large sources are asked for first and sent through the connection only to hosts that lack them.
"""

from __future__ import annotations

import base64
import json
import os
from hashlib import sha256
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

MODULE = "ovn_k8s.cluster.host_files"
LARGE = 1 << 20
MADE_LATER = "made by an earlier task of a real run"
"""Stands for the digest of a source that, in check mode, an earlier task has only said it would make."""
SOURCES = ("content", "template", "src")
FILE_KEYS = {"dest", *SOURCES, "sha256", "mode", "owner", "group", "sensitive"}
DIRECTORY_KEYS = {"path", "mode", "owner", "group"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Carries out `host_files`."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_async = False
    _VALID_ARGS = frozenset({"files", "directories", "absent", "state"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self._task.args
        if arguments.get("state", "present") == "reset":
            return result | self._call({"state": "reset"}, task_vars)
        files = [self._prepare(item, task_vars) for item in arguments.get("files") or []]
        payload = {
            "files": files,
            "directories": [_directory(item) for item in arguments.get("directories") or []],
            "absent": [str(path) for path in arguments.get("absent") or []],
        }
        large = [file for file in files if "source" in file]
        staging = ""
        try:
            if large:
                asked = self._call({"payload": _packed({"ask": True, "files": [_sent(f) for f in large]})}, task_vars)
                if asked.get("failed") or asked.get("unreachable"):
                    return result | asked
                if not self._task.check_mode:
                    staging = self._stage([f for f in large if f["dest"] in asked["missing"]])
            return result | self._call({"payload": _packed(payload | {"files": [_sent(f) for f in files]})}, task_vars)
        finally:
            if staging:
                self._remove_tmp_path(staging, force=True)

    def _prepare(self, item: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(item) - FILE_KEYS)
        named = [key for key in SOURCES if item.get(key) is not None]
        dest = item.get("dest")
        if not dest or unknown or len(named) != 1:
            raise AnsibleActionFail(
                f"files: {dest or 'an item without dest'} needs dest and exactly one of content, template and src "
                f"(it has {', '.join(named) or 'none'})" + (f"; unknown: {', '.join(unknown)}" if unknown else "")
            )
        prepared = _common(item, "0644") | {"dest": str(dest), "sensitive": bool(item.get("sensitive", False))}
        if named == ["src"]:
            return prepared | self._read(item)
        text = str(item["content"]) if named == ["content"] else self._render(str(item["template"]), task_vars)
        return prepared | {"content": base64.b64encode(text.encode()).decode()}

    def _read(self, item: dict[str, Any]) -> dict[str, Any]:
        source = str(item["src"])
        if self._task.check_mode and os.path.isabs(source) and not os.path.exists(source):
            return {"sha256": MADE_LATER}
        try:
            path = self._find_needle("files", source)
            if os.path.getsize(path) >= LARGE:
                return {"source": path, "sha256": str(item.get("sha256") or _digest(path))}
            with open(path, "rb") as stream:
                return {"content": base64.b64encode(stream.read()).decode()}
        except (AnsibleError, OSError) as error:
            raise AnsibleActionFail(
                f"files: {item['dest']}: {item['src']} cannot be read on the control machine: {error}"
            ) from error

    def _render(self, template: str, task_vars: dict[str, Any]) -> str:
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        rendered: list[str] = lookup.run([template], variables=task_vars)
        return str(rendered[0])

    def _stage(self, files: list[dict[str, Any]]) -> str:
        if not files:
            return ""
        folder: str = self._make_tmp_path()
        for number, file in enumerate(files):
            file["staged"] = self._transfer_file(
                file["source"], self._connection._shell.join_path(folder, f"file{number}")
            )
        self._fixup_perms2((folder, *(file["staged"] for file in files)))
        return folder

    def _call(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        answer.pop("invocation", None)
        return answer


def _common(item: dict[str, Any], mode: str) -> dict[str, Any]:
    return {
        "mode": item.get("mode", mode),
        "owner": str(item.get("owner", "root")),
        "group": str(item.get("group", "root")),
    }


def _directory(item: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(item) - DIRECTORY_KEYS)
    if not item.get("path") or unknown:
        raise AnsibleActionFail(
            f"directories: {item} needs path" + (f"; unknown: {', '.join(unknown)}" if unknown else "")
        )
    return _common(item, "0755") | {"path": str(item["path"])}


def _sent(file: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in file.items() if key != "source"}


def _packed(payload: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


def _digest(path: str) -> str:
    with open(path, "rb") as stream:
        digest = sha256()
        while block := stream.read(LARGE):
            digest.update(block)
    return digest.hexdigest()
