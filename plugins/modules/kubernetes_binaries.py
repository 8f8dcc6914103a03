#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_binaries
short_description: Install large executables whose SHA-256 digests are known
version_added: 0.1.0
description:
  - Compares the executables in a directory of the machine with the digests in a folder of the control machine, and
    sends and installs those that differ, all in one task.
  - An executable is sent as it is through the connection, checked against its digest on the machine, and put in its
    place in one step, so that a broken transfer never replaces a working file.
  - Digests are remembered in a record on the machine. A second run reads no executable again.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  source:
    description:
      - Folder on the control machine that has the executables and a file C(SHA256SUMS), in the format of
        C(sha256sum). Without that file the digests are taken from the executables themselves.
      - Required with O(state=present).
    type: path
  names:
    description: Names of the executables that this machine is to have.
    type: list
    elements: str
    default: []
  dest:
    description: Directory on the machine.
    type: path
    default: /usr/local/bin
  record:
    description: File on the machine that remembers what was installed.
    type: path
    default: /var/lib/ovn-k8s/kubernetes-binaries.json
  state:
    description:
      - V(present) installs the executables.
      - V(absent) removes every executable that the record says this module installed, unless somebody changed it
        since, and puts back what was there before.
    type: str
    choices: [present, absent]
    default: present
  digests:
    description: Filled in by the action plugin.
    type: dict
    default: {}
  staged:
    description: Filled in by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Names the executables that differ and sends none.
  diff_mode:
    support: full
    description: Shows the digests before and after.
  idempotent:
    support: full
    description: A second run sends nothing.
  platform:
    support: full
    platforms: linux
    description: For Linux machines.
"""

EXAMPLES = r"""
- name: Install the programs of a worker
  ovn_k8s.cluster.kubernetes_binaries:
    source: "{{ kubernetes_binaries_dir }}"
    names: [kubelet, containerd, containerd-shim-runc-v2, ctr]

- name: Remove them
  ovn_k8s.cluster.kubernetes_binaries:
    state: absent
"""

RETURN = r"""
installed:
  description: Names of the executables that were (in check mode, would be) installed.
  returned: with O(state=present)
  type: list
  elements: str
removed:
  description: Paths that were (in check mode, would be) removed.
  returned: with O(state=absent)
  type: list
  elements: str
kept:
  description: Recorded paths that stay, because somebody else changed them.
  returned: with O(state=absent)
  type: list
  elements: str
changed_paths:
  description: Paths of the executables that were (in check mode, would be) installed.
  returned: with O(state=present)
  type: list
  elements: str
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import DigestRecord, sha256_of


def put_in_place(staged: Path, target: Path, saved: Path, record: DigestRecord, digest: str) -> None:
    """Move a verified file to its place; a foreign file that is there goes to `saved` before it is said to be ours."""
    path = str(target)
    if target.exists() and not record.is_ours(path):
        saved.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, saved)
        record.replaced[path] = str(saved)
    record.announce(path)
    record.save()
    os.chown(staged, 0, 0)
    staged.chmod(0o755)
    if staged.stat().st_dev == target.parent.stat().st_dev:
        staged.rename(target)
    else:
        half = target.with_name(f".{target.name}.new")
        shutil.copyfile(staged, half)
        half.chmod(0o755)
        half.rename(target)
        staged.unlink()
    record.note(path, digest)
    record.save()


def present(module: AnsibleModule, record: DigestRecord) -> dict[str, Any]:
    """Compare, and install what the action plugin has staged."""
    dest = Path(module.params["dest"])
    wanted: dict[str, str] = module.params["digests"]
    before = {name: record.digest(str(dest / name)) for name in wanted}
    differing = [name for name, digest in wanted.items() if before[name] != digest]
    for name in differing:
        staged = module.params["staged"].get(name)
        if staged is None or module.check_mode:
            continue
        found = sha256_of(staged)
        if found != wanted[name]:
            module.fail_json(
                msg=f"{name} arrived with the SHA-256 digest {found}, expected {wanted[name]}: either the transfer "
                "broke (run again), or the file in the source folder does not match its SHA256SUMS",
            )
        dest.mkdir(parents=True, exist_ok=True)
        saved = record.path.parent / "replaced" / name
        put_in_place(Path(staged), dest / name, saved, record, wanted[name])
    if not module.check_mode:
        for name in set(wanted) - set(differing):
            record.note(str(dest / name), wanted[name])
        record.save()
    return {
        "changed": bool(differing),
        "installed": differing,
        "changed_paths": [str(dest / name) for name in differing],
        "diff": {
            "before": {name: before[name] or "absent" for name in differing},
            "after": {name: wanted[name] for name in differing},
        },
    }


def absent(module: AnsibleModule, record: DigestRecord) -> dict[str, Any]:
    """Remove what the record says we installed."""
    removed, kept = [], []
    for path, entry in sorted(record.files.items()):
        digest = record.digest(path)
        if digest is None or not entry.get("ours") or digest != (entry["sha256"] or digest):
            if digest is not None and entry.get("ours"):
                kept.append(path)
            continue
        removed.append(path)
    # Also those that a reset which was cut off has only removed.
    restored = {
        path: saved
        for path, saved in record.replaced.items()
        if Path(saved).exists() and (path in removed or not Path(path).exists())
    }
    if not module.check_mode:
        for path in removed:
            Path(path).unlink()
        for path, saved in restored.items():
            shutil.move(saved, path)
        for path in list(record.files):
            record.forget(path)
        record.save()
        for folder in (record.path.parent / "replaced", record.path.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()
    return {"changed": bool(removed or restored), "removed": removed, "kept": kept}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path"},
            "names": {"type": "list", "elements": "str", "default": []},
            "dest": {"type": "path", "default": "/usr/local/bin"},
            "record": {"type": "path", "default": "/var/lib/ovn-k8s/kubernetes-binaries.json"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "digests": {"type": "dict", "default": {}},
            "staged": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    record = DigestRecord.load(module.params["record"])
    try:
        result = present(module, record) if module.params["state"] == "present" else absent(module, record)
    except OSError as error:
        module.fail_json(msg=f"{module.params['dest']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
