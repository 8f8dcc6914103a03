#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Module `programs`: see DOCUMENTATION. Its action plugin of the same name packs and transfers the archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: programs
short_description: Install the programs of this collection on a host
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Packs C(src/ovn_k8s) with the code that it shares with the modules on the control machine. A host that lacks
    this version
    gets it unpacked to C(/opt/ovn-k8s/<digest>) and byte-compiled; then C(/opt/ovn-k8s/current) is switched to it
    atomically
    and older versions are removed. Nothing but the distribution's Python is needed on the host.
  - Running programs keep the old code until they are restarted.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows versions and launchers.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: linux
options:
  launchers:
    description: Programs that get a launcher in C(/usr/local/bin). Launchers that are not named stay as they are.
    type: list
    elements: str
    choices: [ovn-k8s-watcher, ovn-k8s-node, ovn-k8s-overlay, ovn-k8s-gateway-helper]
    default: []
  cni_shim:
    description: Where the CNI executable is put, usually C(/opt/cni/bin/ovn-k8s-cni). Empty leaves it alone.
    type: str
    default: ''
  state:
    description: V(absent) removes all versions, all launchers and O(cni_shim).
    type: str
    choices: [present, absent]
    default: present
  digest:
    description: Filled in by the action plugin; the version to install.
    type: str
  archive:
    description: Filled in by the action plugin; the archive on the host.
    type: path
  shim_sha256:
    description: Filled in by the action plugin; digest of the CNI executable.
    type: str
"""

EXAMPLES = r"""
- name: Install the node agent and its CNI executable
  ovn_k8s.cluster.programs:
    launchers: [ovn-k8s-node]
    cni_shim: /opt/cni/bin/ovn-k8s-cni
"""

RETURN = r"""
digest:
  description: The version of the programs.
  type: str
  returned: O(state=present)
changed_paths:
  description: Launchers that were written, and C(/opt/ovn-k8s/current) when the version changed; in check mode,
    would be.
  type: list
  elements: str
  returned: O(state=present)
transfer:
  description: For the action plugin, whether the archive has to be sent.
  type: bool
  returned: O(state=present)
"""

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.machine import program_tree
from ..module_utils.machine.files import FilesError, Machine, WantedFile
from ..module_utils.machine.record import Record


def _executables(launchers: list[str], shim: str, digest: str) -> list[WantedFile]:
    files = [
        _executable(str(program_tree.LAUNCHER_DIRECTORY / name), program_tree.launcher(program_tree.LAUNCHERS[name]))
        for name in launchers
    ]
    if shim:
        source = program_tree.ROOT / digest / program_tree.SHIM_SOURCE
        files.append(_executable(shim, source.read_bytes()))
    return files


def _executable(dest: str, content: bytes) -> WantedFile:
    return WantedFile(dest, 0o755, "root", "root", content, sha256(content).hexdigest())


def _present(module: AnsibleModule, record: Record) -> dict[str, Any]:
    parameters = module.params
    digest, archive = parameters["digest"], parameters["archive"]
    folder = program_tree.ROOT / digest
    intact = program_tree.installed_digest(folder) == digest
    shim = parameters["cni_shim"]
    before = program_tree.current()
    if not intact and archive is None and not module.check_mode:
        return {"changed": True, "digest": digest, "transfer": True, "diff": []}
    machine = Machine(record, dry=module.check_mode)
    stale = program_tree.old_versions(digest)
    changed = not intact or before != digest or bool(stale)
    if changed and not module.check_mode:
        if not program_tree.ROOT.exists():
            record.directories.add(str(program_tree.ROOT))
            record.save()
        if not intact:
            program_tree.unpack(Path(archive).read_bytes(), digest)
        program_tree.switch(digest)
        for path in stale:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if intact or not module.check_mode:
        machine.apply([], _executables(parameters["launchers"], shim, digest), [])
    else:
        machine.apply([], _executables(parameters["launchers"], "", digest), [])
        if shim and not _has_digest(shim, parameters["shim_sha256"]):
            changed = True
    diff = [change.as_diff() for change in machine.changes]
    if before != digest:
        link = str(program_tree.ROOT / "current")
        diff.append({"before_header": link, "after_header": link, "before": f"{before}\n", "after": f"{digest}\n"})
    paths = [change.path for change in machine.changes] + ([str(program_tree.ROOT / "current")] if changed else [])
    return {
        "changed": bool(paths),
        "changed_paths": paths,
        "digest": digest,
        "transfer": False,
        "diff": diff,
    }


def _has_digest(path: str, digest: str) -> bool:
    try:
        return sha256(Path(path).read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _absent(module: AnsibleModule, record: Record) -> dict[str, Any]:
    paths = [str(program_tree.LAUNCHER_DIRECTORY / name) for name in program_tree.LAUNCHERS]
    paths += [module.params["cni_shim"]] if module.params["cni_shim"] else []
    found = [path for path in paths if os.path.lexists(path) and record.is_ours(path)]
    present = program_tree.ROOT.exists()
    if not module.check_mode:
        for path in found:
            os.unlink(path)
            record.files.discard(path)
        if present:
            shutil.rmtree(program_tree.ROOT)
            record.directories.discard(str(program_tree.ROOT))
        if found or present:
            record.save()
    gone = found + ([str(program_tree.ROOT)] if present else [])
    diff = [{"before_header": path, "after_header": path, "before": "present\n", "after": "absent\n"} for path in gone]
    return {"changed": bool(gone), "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "launchers": {
                "type": "list",
                "elements": "str",
                "choices": list(program_tree.LAUNCHERS),
                "default": [],
            },
            "cni_shim": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "digest": {"type": "str"},
            "archive": {"type": "path"},
            "shim_sha256": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "present" and not module.params["digest"]:
        module.fail_json(msg="programs is carried out by its action plugin; call it as ovn_k8s.cluster.programs")
    try:
        record = Record.load()
        result = _present(module, record) if module.params["state"] == "present" else _absent(module, record)
    except (FilesError, OSError, ValueError) as error:
        module.fail_json(msg=f"programs: {error}")
    if not module._diff:
        result.pop("diff")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
