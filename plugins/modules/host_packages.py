#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Module `host_packages`: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_packages
short_description: Install Debian packages, and remember which of them were not there before
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Installs what is missing, without recommended packages, in one C(apt-get) run. Configuration files that are
    there already
    stay as they are, so a service can be configured before its first start.
  - Every package that an installation added, dependencies included, is recorded on the host. O(state=reset) purges
    exactly
    those that are still installed, and removes the users and groups that came with them.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Lists the packages that are added or purged.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: debian
options:
  names:
    description: Packages that have to be installed.
    type: list
    elements: str
    default: []
  leftovers:
    description:
      - Directories that the packages' programs make when they run, and that stay when the packages go. Those that do
        not exist before the installation are recorded, so that M(ovn_k8s.cluster.host_files) with O(state=reset)
        removes them.
    type: list
    elements: path
    default: []
  cache_valid_time:
    description: Refresh the package lists before an installation when they are older than this many seconds.
    type: int
    default: 3600
  state:
    description: V(present) installs O(names); V(reset) purges everything that this module installed on the host.
    type: str
    choices: [present, reset]
    default: present
"""

EXAMPLES = r"""
- name: Install Open vSwitch
  ovn_k8s.cluster.host_packages:
    names: [openvswitch-switch, python3-pyroute2]
"""

RETURN = r"""
packages:
  description: Packages that were, or in check mode would be, added or purged.
  type: list
  elements: str
  returned: always
"""

import os
import pwd
import shutil
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.machine.record import Record

APT = [
    "apt-get",
    "--yes",
    "--quiet",
    "--option=DPkg::Lock::Timeout=120",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
    "--option=APT::Keep-Downloaded-Packages=false",
]
LISTS = "/var/lib/apt/lists"
LOGS = (
    "/var/log/alternatives.log",
    "/var/log/dpkg.log",
    "/var/log/apt/eipp.log.xz",
    "/var/log/apt/history.log",
    "/var/log/apt/term.log",
)
"""What apt and dpkg write about themselves: on a machine that never used them a reset removes these, too."""
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "APT_LISTCHANGES_FRONTEND": "none"}


def _run(module: AnsibleModule, command: list[str], purpose: str) -> str:
    code, output, error = module.run_command(command, environ_update=ENVIRONMENT)
    if code != 0:
        tail = "\n".join((error or output).strip().splitlines()[-15:])
        module.fail_json(
            msg=f"{purpose} failed ({' '.join(command[:1] + command[-3:])}, exit {code}):\n{tail}", rc=code
        )
    return str(output)


def _states(module: AnsibleModule) -> dict[str, str]:
    """Package -> state as dpkg has it (`installed`, `config-files`, …), for every package that dpkg knows."""
    form = "${Package}\t${db:Status-Status}\n"
    output = _run(module, ["dpkg-query", "--show", f"--showformat={form}"], "Listing the installed packages")
    return dict(line.split("\t", 1) for line in output.splitlines() if "\t" in line)


def _installed(states: dict[str, str]) -> set[str]:
    return {name for name, state in states.items() if state == "installed"}


def _lists_are_old(limit: int) -> bool:
    try:
        with os.scandir(LISTS) as entries:
            times = [entry.stat().st_mtime for entry in entries if entry.is_file() and entry.name != "lock"]
    except FileNotFoundError:
        return True
    stamp = os.stat(LISTS).st_mtime
    return not times or time.time() - max(stamp, *times) > limit


def _names(path: str) -> set[str]:
    """The names in /etc/passwd or /etc/group."""
    return {line.partition(":")[0] for line in Path(path).read_text(encoding="utf-8").splitlines()}


def _timer_stamps(module: AnsibleModule, packages: list[str]) -> list[Path]:
    """Where systemd notes when the timers of the packages last ran; nobody removes these files."""
    listed = _run(module, ["dpkg-query", "--listfiles", *packages], "Listing the packages' files")
    timers = {Path(line).name for line in listed.splitlines() if line.endswith(".timer")}
    return [Path("/var/lib/systemd/timers") / f"stamp-{timer}" for timer in sorted(timers)]


def _remove_users(module: AnsibleModule, record: Record) -> None:
    """Remove users and groups that packages brought and, as packages do, left behind; with the directories that
    they own."""
    for user in sorted(record.users & _names("/etc/passwd")):
        number = pwd.getpwnam(user).pw_uid
        for parent in ("/var/lib", "/var/log", "/var/cache"):
            for entry in Path(parent).iterdir():
                if entry.lstat().st_uid == number and entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
        _run(module, ["userdel", user], f"Removing the user {user}")
    for group in sorted(record.groups & _names("/etc/group")):
        _run(module, ["groupdel", group], f"Removing the group {group}")


def _present(module: AnsibleModule, record: Record) -> list[str]:
    before = _states(module)
    missing = [name for name in module.params["names"] if before.get(name) != "installed"]
    if not missing or module.check_mode:
        return missing
    if _lists_are_old(module.params["cache_valid_time"]):
        _run(module, [*APT, "update"], "Refreshing the package lists")
    users, groups = _names("/etc/passwd"), _names("/etc/group")
    logs = [path for path in LOGS if not os.path.lexists(path)]
    record.directories |= {path for path in module.params["leftovers"] if not os.path.lexists(path)}
    record.save()
    command = [*APT, "--no-install-recommends", "install", *missing]
    code, output, error = module.run_command(command, environ_update=ENVIRONMENT)
    after = _states(module)
    record.files |= {path for path in logs if os.path.lexists(path)}
    record.users |= _names("/etc/passwd") - users
    record.groups |= _names("/etc/group") - groups
    added = {name for name, state in after.items() if state != "not-installed" and name not in before}
    added |= _installed(after) - _installed(before)
    record.packages |= added
    record.save()
    if code != 0:
        tail = "\n".join((error or output).strip().splitlines()[-15:])
        module.fail_json(
            msg=f"Installing {', '.join(missing)} failed (apt-get, exit {code}):\n{tail}\n"
            "Check the host's package sources; after an interrupted installation run `dpkg --configure -a` on it.",
            rc=code,
        )
    return sorted(_installed(after) - _installed(before))


def _reset(module: AnsibleModule, record: Record) -> list[str]:
    known = _states(module)
    ours = sorted(name for name in record.packages if known.get(name, "not-installed") != "not-installed")
    if ours:
        plan = _run(module, [*APT, "--simulate", "purge", *ours], "Planning the removal of packages")
        others = sorted(
            {line.split()[1] for line in plan.splitlines() if line.startswith(("Remv ", "Purg "))} - set(ours)
        )
        if others:
            module.fail_json(
                msg=f"Purging the packages that were installed here would also remove {', '.join(others)}, "
                "installed by "
                "somebody else and depending on them; remove these first, or keep the packages with -e "
                "reset_packages=false"
            )
    if module.check_mode:
        return ours
    if ours:
        stamps = _timer_stamps(module, ours)
        _run(module, [*APT, "purge", *ours], "Purging packages")
        for stamp in stamps:
            stamp.unlink(missing_ok=True)
    _remove_users(module, record)
    if record.packages or record.users or record.groups:
        record.packages.clear()
        record.users.clear()
        record.groups.clear()
        if record.empty:
            record.discard()
        else:
            record.save()
    return ours


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "leftovers": {"type": "list", "elements": "path", "default": []},
            "cache_valid_time": {"type": "int", "default": 3600},
            "state": {"type": "str", "choices": ["present", "reset"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        record = Record.load()
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"host_packages: {error}")
    resetting = module.params["state"] == "reset"
    packages = _reset(module, record) if resetting else _present(module, record)
    result: dict[str, Any] = {"changed": bool(packages), "packages": packages}
    if module._diff and packages:
        lines = "".join(f"{name}\n" for name in packages)
        sides = (lines, "") if resetting else ("", lines)
        result["diff"] = {
            "before_header": "packages",
            "after_header": "packages",
            "before": sides[0],
            "after": sides[1],
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
