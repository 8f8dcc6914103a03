#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_services
short_description: Make several systemd units run with the files that are there now
version_added: 0.1.0
description:
  - Enables and starts many units in one task, and restarts those that were started before one of the files that
    they read was changed.
  - The time of a change is compared with the time of the start, so that a run which broke off between the two is
    repaired by the next one. No handler is needed.
  - Reloads systemd's own configuration when a unit file changed.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  services:
    description: The units and the states that they should have.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Full name of the unit, with its suffix.
        type: str
        required: true
      state:
        description:
          - V(started) means enabled and running.
          - V(stopped) means stopped and disabled; a unit that does not exist is fine.
        type: str
        choices: [started, stopped]
        default: started
      enabled:
        description: Whether a started unit is started at boot as well.
        type: bool
        default: true
      files:
        description:
          - Absolute paths that the daemon reads when it starts, beside its unit file and drop-ins, which are always
            looked at.
        type: list
        elements: path
        default: []
      clean:
        description:
          - With O(services[].state=stopped), also remove the data, cache, log and runtime directories that systemd
            made for the unit, as C(systemctl clean) does.
        type: bool
        default: false
  pending_paths:
    description:
      - Paths that an earlier task of the same run in check mode would have written. Units that read one of them
        are reported as to be restarted.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: Reports the same actions and does none of them.
  diff_mode:
    support: full
    description: Shows the state of each unit that changes.
  idempotent:
    support: full
    description: A second run does nothing.
  platform:
    support: full
    platforms: linux
    description: Needs systemd.
"""

EXAMPLES = r"""
- name: Run etcd with its present unit and certificates
  ovn_k8s.cluster.systemd_services:
    services:
      - name: etcd.service
        files:
          - /usr/local/bin/etcd
          - /etc/kubernetes/pki/etcd.crt

- name: Stop what a role has started
  ovn_k8s.cluster.systemd_services:
    services:
      - name: etcd.service
        state: stopped
"""

RETURN = r"""
actions:
  description: What was done (in check mode, what would be done), a unit each.
  returned: always
  type: list
  elements: dict
  sample:
    - name: etcd.service
      verbs: [restart]
      why: /etc/kubernetes/pki/etcd.crt is newer than its start
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.units import (
    PROPERTIES,
    Action,
    Service,
    UnitStatus,
    decide,
    parse_show,
)


def changed_at(path: str) -> int | None:
    """The last change of the file (content, owner or mode), in microseconds of CLOCK_MONOTONIC; None if absent."""
    try:
        changed = Path(path).stat().st_ctime_ns
    except OSError:
        return None
    return (changed - time.time_ns() + time.clock_gettime_ns(time.CLOCK_MONOTONIC)) // 1000


class Systemd:
    """`systemctl`, with errors that say which unit and why."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.path = module.get_bin_path("systemctl")

    def show(self, names: list[str]) -> dict[str, UnitStatus]:
        if self.path is None:
            return {}
        command = [self.path, "show", "--no-pager", "--property", ",".join(PROPERTIES), "--", *names]
        code, out, err = self.module.run_command(command)
        if code:
            self.module.fail_json(msg=f"systemctl cannot say how {', '.join(names)} are: {err.strip()}")
        return parse_show(out)

    def run(self, verb: str, names: list[str]) -> None:
        if not names and verb != "daemon-reload":
            return
        code, _out, err = self.module.run_command([self.path, verb, *(["--", *names] if names else [])])
        if code:
            failed = [name for name in names if name in err] or names
            logs = "\n".join(self.last_words(name) for name in failed)
            self.module.fail_json(
                msg=f"systemctl {verb} {' '.join(names)} failed: {err.strip()}\n{logs}".strip(),
            )

    def last_words(self, name: str) -> str:
        """The end of the unit's journal."""
        _code, out, _err = self.module.run_command(
            ["journalctl", "--no-pager", "--output=cat", "--lines=12", f"--unit={name}"]
        )
        return f"The last lines of {name}:\n{out.strip()}" if out.strip() else ""


def apply(systemd: Systemd, actions: list[Action]) -> None:
    """Carry the actions out, a systemctl call for all units of one verb, so that systemd orders them."""

    def names(verb: str) -> list[str]:
        return [action.name for action in actions if verb in action.verbs]

    for verb in ("stop", "disable", "enable"):
        systemd.run(verb, names(verb))
    stopped = names("stop")
    if stopped:
        systemd.module.run_command([systemd.path, "reset-failed", "--", *stopped])
    for name in names("clean"):
        # a unit without such directories refuses, and that is fine
        systemd.module.run_command([systemd.path, "clean", "--what=all", "--", name])
    # restart starts a stopped unit as well; one call keeps the order that the units ask for
    systemd.run("restart", names("start") + names("restart"))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
                    "enabled": {"type": "bool", "default": True},
                    "files": {"type": "list", "elements": "path", "default": []},
                    "clean": {"type": "bool", "default": False},
                },
            },
            "pending_paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    services = [
        Service(item["name"], item["state"], item["enabled"], tuple(item["files"]), item["clean"])
        for item in module.params["services"]
    ]
    names = [service.name for service in services]
    if not names:
        module.exit_json(changed=False, actions=[])
    systemd = Systemd(module)
    if systemd.path is None and not module.check_mode:
        module.fail_json(msg="systemctl is not on this machine: the services need systemd")
    before = systemd.show(names)
    stale = any(status.need_reload for status in before.values())
    missing = any(
        service.state == "started" and not before.get(service.name, UnitStatus(service.name)).found
        for service in services
    )
    if (stale or missing) and not module.check_mode:
        systemd.run("daemon-reload", [])
        before = systemd.show(names)
    actions = decide(services, before, changed_at, frozenset(module.params["pending_paths"]))
    if actions and not module.check_mode:
        apply(systemd, actions)
    described = {action.name: before.get(action.name, UnitStatus(action.name)).describe() for action in actions}
    wanted = {
        action.name: (
            "stopped, disabled"
            if {"stop", "disable", "clean"} & set(action.verbs)
            else f"{', '.join(action.verbs)} ({action.why})"
        )
        for action in actions
    }
    module.exit_json(
        changed=bool(actions),
        actions=[{"name": action.name, "verbs": list(action.verbs), "why": action.why} for action in actions],
        diff={"before": described, "after": wanted},
    )


if __name__ == "__main__":
    main()
