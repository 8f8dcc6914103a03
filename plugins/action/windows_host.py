# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `windows_host`: renders templates, sends large files that the host lacks, and asks the bundle for the rest."""

from __future__ import annotations

import base64
import os
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.loader import lookup_loader

from ..plugin_utils.bundle_action import PROGRAM_DIR, Answer, BundleAction, NoBundle, version
from ..plugin_utils.large_file import LARGE, digest_of

_TEXTS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
SPEC: dict[str, Any] = {
    "program_dir": {"type": "str", "default": PROGRAM_DIR},
    "state": {"type": "str", "choices": ["present", "reset"], "default": "present"},
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "private": {"type": "bool", "default": False},
        },
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "content": {"type": "str"},
            "template": {"type": "str"},
            "src": {"type": "str"},
            "sensitive": {"type": "bool", "default": False},
        },
        "mutually_exclusive": [["content", "template", "src"]],
        "required_one_of": [["content", "template", "src"]],
    },
    "absent": _TEXTS,
    "firewall": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "protocol": {"type": "str", "choices": ["tcp", "udp"], "required": True},
            "ports": {"type": "str", "required": True},
            "remote": {"type": "str", "default": "any"},
            "description": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "command": {"type": "str", "default": ""},
            "display_name": {"type": "str", "default": ""},
            "description": {"type": "str", "default": ""},
            "depends": _TEXTS,
            "start": {"type": "str", "choices": ["auto", "delayed", "manual"], "default": "auto"},
            "environment": {"type": "dict", "default": {}},
            "recovery_ms": {"type": "list", "elements": "int", "default": [1000, 5000, 30000]},
            "reads": _TEXTS,
            "log": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
        },
    },
    "prune": {"type": "bool", "default": False},
    "ctr": {"type": "str", "default": ""},
}


class ActionModule(BundleAction):
    """Carries out `windows_host`."""

    TRANSFERS_FILES = True
    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        _validated, arguments = self.validate_argument_spec(argument_spec=SPEC)
        base = arguments["program_dir"].rstrip("\\")
        if arguments["state"] == "reset":
            return result | self._reset(base, arguments)
        request = {key: arguments[key] for key in ("directories", "absent", "firewall", "services")}
        large: dict[str, str] = {}
        request["files"] = [self._prepared(item, large) for item in arguments["files"]]
        request |= {"operation": "settle", "check": bool(self._task.check_mode)}
        if arguments["prune"]:
            request["prune"] = {"base": base, "version": version()}
        try:
            return result | self._settle(base, request, large)
        except NoBundle:
            if not self._task.check_mode:
                raise
            changes = ["what the bundle would find, which is not installed yet"]
            return result | {"changed": True, "changes": changes}

    def _settle(self, base: str, request: Answer, large: dict[str, str]) -> Answer:
        staging = ""
        try:
            if large and not self._task.check_mode:
                asked = [file for file in request["files"] if file["path"] in large]
                missing = self.machine(base, {"operation": "missing", "files": asked})["missing"]
                if missing:
                    staging = self._make_tmp_path()
                for number, file in enumerate(file for file in asked if file["path"] in missing):
                    place = self._connection._shell.join_path(staging, f"file{number}")
                    file["staged"] = self._transfer_file(large[file["path"]], place)
            return _told(self.machine(base, request))
        finally:
            if staging:
                self._remove_tmp_path(staging, force=True)

    def _reset(self, base: str, arguments: Answer) -> Answer:
        try:
            request = {"operation": "reset", "check": bool(self._task.check_mode), "ctr": arguments["ctr"]}
            answer = self.machine_in_use(base, request)
        except NoBundle:
            return {"changed": False, "changes": [], "diff": [], "hns": False, "datapath": ""}
        # An older version of the bundle does not say what the datapath was.
        return _told(answer) | {"hns": answer["hns"], "datapath": answer.get("datapath", "")}

    def _prepared(self, item: dict[str, Any], large: dict[str, str]) -> Answer:
        prepared: Answer = {"path": item["path"], "sensitive": item["sensitive"]}
        if item["src"] is None:
            text = item["content"] if item["content"] is not None else self._rendered(item["template"])
            return prepared | {"content": base64.b64encode(text.encode()).decode()}
        try:
            source = self._find_needle("files", item["src"])
            if os.path.getsize(source) >= LARGE:
                large[item["path"]] = source
                return prepared | {"sha256": digest_of(source)}
            with open(source, "rb") as stream:
                return prepared | {"content": base64.b64encode(stream.read()).decode()}
        except (AnsibleError, OSError) as error:
            if self._task.check_mode and os.path.isabs(item["src"]):
                # An earlier task of a real run makes it.
                return prepared | {"sha256": "made by an earlier task"}
            raise AnsibleActionFail(f"{item['path']}: {item['src']} on the control machine: {error}") from error

    def _rendered(self, template: str) -> str:
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        rendered: list[str] = lookup.run([template], variables=self._facts)
        # Python's texts end lines as Linux does; what reads them on Windows takes both.
        return str(rendered[0])


def _told(answer: Answer) -> Answer:
    return {key: answer[key] for key in ("changed", "changes", "diff")}
