#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Module `host_files`: see DOCUMENTATION. Its action plugin of the same name prepares what it gets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Keep many files and directories of a host as they are wanted, in one task
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Renders templates and reads sources on the control machine, compares everything on the host in one call, and writes
    what differs. All files are written beside their place first and only then renamed into it.
  - Records what it makes and keeps what it replaces, so that O(state=reset) leaves the host as it was before.
  - Parents of files that do not exist are made with mode 0755.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows the differences of text files; not those of sensitive, binary or large ones.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: posix
options:
  files:
    description: Files that have to be there. Each takes its content from exactly one of C(content), C(template)
      and C(src).
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path on the host.
        type: path
        required: true
      content:
        description: The content itself.
        type: str
      template:
        description: A Jinja template on the control machine, found like that of M(ansible.builtin.template).
        type: str
      src:
        description: A file on the control machine, found like that of M(ansible.builtin.copy). Files of 1 MiB and
          more are
          transferred only when their digest differs.
        type: str
      sha256:
        description: Digest of O(files[].src), when it is known already; saves reading the file.
        type: str
      mode:
        description: Octal mode, as a string.
        type: str
        default: '0644'
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      sensitive:
        description: The content is secret and never shown.
        type: bool
        default: false
  directories:
    description: Directories that have to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: path
        required: true
      mode:
        description: Octal mode, as a string.
        type: str
        default: '0755'
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
  absent:
    description: Paths that must not be there. A directory is removed only if this module made it.
    type: list
    elements: path
    default: []
  state:
    description:
      - V(present) does what the other options say.
      - V(reset) undoes what this module ever did on the host, by its record, and takes no other option.
    type: str
    choices: [present, reset]
    default: present
  payload:
    description: Filled in by the action plugin; not for people.
    type: str
"""

EXAMPLES = r"""
- name: Configure the daemon
  ovn_k8s.cluster.host_files:
    directories:
      - path: /etc/daemon
    files:
      - dest: /etc/daemon/daemon.toml
        template: daemon.toml.j2
      - dest: /etc/daemon/daemon.key
        src: "{{ inventory_hostname }}.key"
        mode: '0600'
        sensitive: true
    absent:
      - /etc/daemon/old.conf
  register: daemon_files

- name: Restart the daemon when its key changed
  ansible.builtin.systemd_service:
    name: daemon
    state: restarted
  when: "'/etc/daemon/daemon.key' in daemon_files.changed_paths"
"""

RETURN = r"""
changed_paths:
  description: Paths that were made, changed or removed, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

import base64
import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.machine.files import FilesError, Machine, wanted_directories, wanted_files
from ..module_utils.machine.record import Record

OWNERSHIP: dict[str, Any] = {
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
ARGUMENTS: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "dest": {"type": "path", "required": True},
            "content": {"type": "str"},
            "template": {"type": "str"},
            "src": {"type": "str"},
            "sha256": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
            "sensitive": {"type": "bool", "default": False},
            **OWNERSHIP,
        },
    },
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
            **OWNERSHIP,
        },
    },
    "absent": {"type": "list", "elements": "path", "default": []},
    "state": {"type": "str", "choices": ["present", "reset"], "default": "present"},
    "payload": {"type": "str", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["payload"] is None and module.params["state"] == "present":
        module.fail_json(msg="host_files is carried out by its action plugin; call it as ovn_k8s.cluster.host_files")
    payload = json.loads(base64.b64decode(module.params["payload"])) if module.params["payload"] else {}
    try:
        machine = Machine(Record.load(), dry=module.check_mode)
        if module.params["state"] == "reset":
            machine.reset()
        elif payload.get("ask"):
            module.exit_json(changed=False, missing=machine.missing(wanted_files(payload["files"])))
        else:
            machine.apply(wanted_directories(payload["directories"]), wanted_files(payload["files"]), payload["absent"])
    except (FilesError, OSError, ValueError) as error:
        module.fail_json(msg=f"host_files: {error}")
    result: dict[str, Any] = {
        "changed": bool(machine.changes),
        "changed_paths": [change.path for change in machine.changes],
    }
    if module._diff:
        result["diff"] = [change.as_diff() for change in machine.changes]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
