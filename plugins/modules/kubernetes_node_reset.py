#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_node_reset
short_description: Stop all containers of a node and remove what kubelet and containerd left
version_added: 0.1.0
description:
  - Ends the containers and their shims, unmounts what belongs to them, and removes the pods' cgroups, network
    namespaces and logs and the data of kubelet and containerd.
  - Meant for a node that leaves the cluster for good, after kubelet and containerd were stopped.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  record:
    description: The record of M(ovn_k8s.cluster.kubernetes_images), which is removed as well.
    type: path
    default: /var/lib/ovn-k8s/kubernetes-images.json
  timeout:
    description: Seconds to wait for the processes to end.
    type: int
    default: 15
attributes:
  check_mode:
    support: full
    description: Lists what is there and touches nothing.
  diff_mode:
    support: none
    description: The return values say what was removed.
  idempotent:
    support: full
    description: A second run finds nothing.
  platform:
    support: full
    platforms: linux
    description: For Linux nodes.
"""

EXAMPLES = r"""
- name: Stop all containers and remove what they leave
  ovn_k8s.cluster.kubernetes_node_reset:
"""

RETURN = r"""
processes:
  description: Number of processes that were (in check mode, would be) ended.
  returned: always
  type: int
mounts:
  description: Mount points that were (in check mode, would be) unmounted.
  returned: always
  type: list
  elements: str
removed:
  description: Paths that were (in check mode, would be) removed.
  returned: always
  type: list
  elements: str
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.leftovers import (
    EMPTIED,
    NAMESPACE_PREFIX,
    NAMESPACES,
    REMOVED,
    container_processes,
    delete,
    files_to_remove,
    mounts_below,
    pod_cgroups,
)

_MOUNTS = (*EMPTIED, *REMOVED, f"{NAMESPACES}/{NAMESPACE_PREFIX}")


def end_processes(module: AnsibleModule) -> int:
    """Kill the containers and wait until they are gone; returns how many there were."""
    first = container_processes()
    deadline = time.monotonic() + module.params["timeout"]
    left = first
    while left:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        left = [pid for pid in container_processes() if not is_zombie(pid)]
        if left and time.monotonic() > deadline:
            module.fail_json(
                msg=f"{len(left)} container processes do not end (the first: {left[0]}): "
                "one may hang in the kernel; see /proc/<pid>/stack, or restart the machine"
            )
    return len(first)


def is_zombie(pid: int) -> bool:
    """Whether the process has ended and only waits for its parent to notice."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True


def mount_table() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")


def current_mounts() -> list[str]:
    return mounts_below(mount_table(), _MOUNTS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "record": {"type": "path", "default": "/var/lib/ovn-k8s/kubernetes-images.json"},
            "timeout": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    record = Path(module.params["record"])
    mounts = current_mounts()
    if module.check_mode:
        processes = len(container_processes())
    else:
        processes = end_processes(module)
        for point in mounts:
            module.run_command(["umount", "--lazy", point])
        for group in pod_cgroups():
            with contextlib.suppress(OSError):
                group.rmdir()
    paths = files_to_remove() + ([record] if record.exists() else [])
    if not module.check_mode:
        for path in paths:
            try:
                delete(path)
            except OSError as error:
                module.fail_json(msg=f"{path} cannot be removed: {error}")
        # whoever makes the first namespace mounts the folder on itself
        if Path(NAMESPACES).is_dir() and not any(Path(NAMESPACES).iterdir()):
            while NAMESPACES in mounts_below(mount_table(), (NAMESPACES,)):
                if module.run_command(["umount", NAMESPACES])[0] != 0:
                    break
        for folder in (record.parent, Path(NAMESPACES)):
            # somebody else's content, or a mount point, keeps them
            with contextlib.suppress(OSError):
                folder.rmdir()
    module.exit_json(
        changed=bool(processes or mounts or paths),
        processes=processes,
        mounts=mounts,
        removed=[str(path) for path in paths],
    )


if __name__ == "__main__":
    main()
