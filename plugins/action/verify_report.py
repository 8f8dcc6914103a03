# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Prints the results of a verification so that a person reads them at a glance."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.results import OK, Result, failures
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.table import summary, table

_COLOURS = {"heading": "bright blue", "ok": "green", "failed": "red", "skipped": "cyan", "hint": "yellow"}


def document(results: list[Result], cluster: str, seconds: float) -> str:
    """The content of the report file: one JSON object."""
    content = {
        "cluster": cluster,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "ok": not failures(results),
        "summary": summary(results, seconds),
        "checks": [result.as_dict() for result in results],
    }
    return json.dumps(content, indent=2) + "\n"


class ActionModule(ActionBase):
    """Table on the screen, JSON in a file, failure when a check failed."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        try:
            results = [Result(**item) for item in arguments["results"]]
        except (KeyError, TypeError) as error:
            raise AnsibleActionFail(f"results: a list of the other modules' results is needed ({error})") from error
        begun = float(arguments.get("begun") or 0)
        seconds = max(0.0, time.time() - begun) if begun else 0.0
        display = Display()
        display.display("")
        for line in table(results, seconds):
            display.display(line.text, color=_COLOURS.get(line.kind))
        display.display("")
        path = str(arguments.get("file") or "")
        if path and not self._task.check_mode:
            place = Path(path).expanduser()
            try:
                place.write_text(document(results, str(arguments.get("cluster", "")), seconds), encoding="utf-8")
            except OSError as error:
                raise AnsibleActionFail(f"the report cannot be written: {error}") from error
            answer["file"] = str(place)
        failed = failures(results)
        answer |= {
            "changed": False,
            "ok": sum(result.status == OK for result in results),
            "failed_checks": len(failed),
        }
        if failed or not results:
            answer["failed"] = True
            answer["msg"] = summary(results, seconds) if results else "nothing was checked"
        return answer
