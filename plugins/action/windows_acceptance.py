# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `windows_acceptance`: tries on a machine what this collection takes for granted, and says what came of it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.verify.results import FAILED, OK, SKIPPED, Result
from ..plugin_utils.bundle_action import PROGRAM_DIR, Answer
from ..plugin_utils.hns_action import HnsAction
from ..plugin_utils.windows_acceptance import NETWORK, Step, steps
from ..plugin_utils.windows_rules import features

PARTS = ("machine", "services", "networks", "hns", "recovery")
SPEC: dict[str, Any] = {
    "adapter": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "required": True},
    "networks": {"type": "list", "elements": "str", "default": []},
    "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
    "when": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 120},
    "program_dir": {"type": "str", "default": PROGRAM_DIR},
}
RECOVERED = "ovn-k8s"
"""The service that is ended to see whether Windows starts it again."""


class ActionModule(HnsAction):
    """Carries out `windows_acceptance`."""

    spec = SPEC
    _VALID_ARGS = frozenset(SPEC)

    def carry_out(self, arguments: dict[str, Any]) -> Answer:
        self._arguments = arguments
        self._program_dir = arguments["program_dir"]
        self._host = str(self._facts.get("inventory_hostname", ""))
        self._results: list[Result] = []
        facts = self.machine(self._program_dir, {"operation": "facts"})
        for part in arguments["parts"]:
            getattr(self, f"_{part}")(facts)
        hns = self.hns({"operation": "info"})
        return {"changed": False, "results": [r.as_dict() for r in self._results], "facts": facts, "hns": hns}

    def _say(self, check: str, target: str, status: str, detail: str, hint: str = "", begun: float = 0.0) -> None:
        when = self._arguments["when"]
        took = (time.monotonic() - begun) * 1000 if begun else None
        self._results.append(Result(f"{check} {when}".strip(), self._host, target, status, detail, hint, took))

    def _machine(self, facts: Answer) -> None:
        detail = f"{facts['product']} {facts['build']}.{facts['revision']} {facts['installation_type']}"
        self._say("windows: machine", detail, OK, f"HNS {facts['hns_version'] or 'none'}: {', '.join(features(facts))}")

    def _services(self, facts: Answer) -> None:
        for name in self._arguments["services"]:
            state = facts["services"].get(name)
            said = {True: "running", False: "stopped", None: "not installed"}[state]
            hint = rf"sc.exe query {name}; C:\ProgramData\ovn-k8s\log, C:\ProgramData\Kubernetes\log"
            self._say("windows: service", name, OK if state else FAILED, said, "" if state else hint)

    def _networks(self, facts: Answer) -> None:
        del facts
        found = {item["name"]: item for item in self.hns({"operation": "info"})["networks"]}
        for name in self._arguments["networks"]:
            network = found.get(name)
            detail = json.dumps(network, sort_keys=True) if network else "not there"
            hint = "" if network else r"C:\ProgramData\ovn-k8s\log\ovn-k8s.log says why"
            self._say("windows: network", name, OK if network else FAILED, detail[:300], hint)

    # ---- HNS, one assumption after the other

    def _hns(self, facts: Answer) -> None:
        able = features(facts)
        check_mode = self._task.check_mode
        broken = False
        try:
            for step in steps(self._arguments["adapter"]):
                begun = time.monotonic()
                if check_mode or (step.needs and step.needs not in able):
                    self._say("windows: HNS", step.title, SKIPPED, f"needs {step.needs or 'a run without check mode'}")
                    continue
                if broken and not step.wanted.get("networks"):
                    self._say("windows: HNS", step.title, SKIPPED, f"there is no network {NETWORK} to try it on")
                    continue
                try:
                    detail = self._tried(step)
                    self._say("windows: HNS", step.title, OK, detail, begun=begun)
                except _Unexpected as error:
                    broken = broken or step.title == "network: made"
                    hint = "send the report: a real HNS does not do here what the model of it does"
                    self._say("windows: HNS", step.title, FAILED, str(error), hint, begun)
        finally:
            self._task.check_mode = check_mode

    def _tried(self, step: Step) -> str:
        """One step in check mode, for real, and again. Raises _Unexpected."""
        foretold = self._one(step, check=True)
        if step.refused:
            if step.refused not in foretold.get("refused", ""):
                raise _Unexpected(f"it was not refused: {foretold}")
            return str(foretold["refused"])
        if "refused" in foretold:
            raise _Unexpected(str(foretold["refused"]))
        actions = tuple(foretold["actions"])
        if step.actions is not None and actions != step.actions and step.actions:
            raise _Unexpected(f"the plan is {list(actions)}, and not {list(step.actions)}")
        done = self._one(step, check=False)
        if "refused" in done:
            raise _Unexpected(str(done["refused"]))
        again = self._one(step, check=True)
        if again.get("changed") or "refused" in again:
            raise _Unexpected(f"it is not as wanted afterwards: {again.get('actions') or again.get('refused')}")
        return "; ".join(actions) or "nothing to do"

    def _one(self, step: Step, *, check: bool) -> Answer:
        (self.kind, items), *_rest = step.wanted.items()
        self._task.check_mode = check
        arguments = {
            self.kind: items,
            "replace": step.options.get("replace", False),
            "force": step.options.get("force", False),
            "timeout": self._arguments["timeout"],
            "program_dir": self._program_dir,
        }
        try:
            return super().carry_out(arguments)
        except AnsibleActionFail as error:
            return {"refused": str(error)}

    # ---- recovery

    def _recovery(self, facts: Answer) -> None:
        del facts
        before = self._pid()
        if self._task.check_mode or not before:
            self._say("windows: recovery", RECOVERED, SKIPPED, "it does not run, or this is check mode")
            return
        begun = time.monotonic()
        self.command(["taskkill.exe", "/F", "/PID", before])
        while time.monotonic() < begun + 60:
            time.sleep(2)
            now = self._pid()
            if now not in ("", before):
                self._say("windows: recovery", RECOVERED, OK, "ended by force, and started again", begun=begun)
                return
        hint = f"sc.exe qfailure {RECOVERED} shows the recovery actions"
        self._say("windows: recovery", RECOVERED, FAILED, "ended by force, and not started again within 60 s", hint)

    def _pid(self) -> str:
        """Process of the service; empty when it does not run. PID is PID in every language of Windows."""
        said = str(self.command(["sc.exe", "queryex", RECOVERED]).get("stdout", ""))
        found = re.search(r"PID\s*:\s*(\d+)", said)
        return found.group(1) if found and found.group(1) != "0" else ""


class _Unexpected(Exception):
    """What came of a step is not what was assumed."""
