#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_images
short_description: Import image archives from the control machine into containerd
version_added: 0.1.0
description:
  - Sends and imports those archives whose images containerd does not have, or has from another archive, all in one
    task. Nothing is sent for images that are there.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  archives:
    description:
      - Image archives on the control machine, as C(docker save) or C(ctr images export) write them.
    type: list
    elements: path
    required: true
  record:
    description: File on the machine that remembers which archive an image came from.
    type: path
    default: /var/lib/ovn-k8s/kubernetes-images.json
  ctr:
    description: containerd's client on the machine.
    type: path
    default: /usr/local/bin/ctr
  images:
    description: Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  staged:
    description: Filled in by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Names the images that are missing and sends none.
  diff_mode:
    support: none
    description: Images have no readable difference.
  idempotent:
    support: full
    description: A second run sends nothing.
  platform:
    support: full
    platforms: linux
    description: Needs containerd.
"""

EXAMPLES = r"""
- name: Bring the images of a cluster without a registry
  ovn_k8s.cluster.kubernetes_images:
    archives:
      - images/pause.tar
      - images/netcheck.tar
"""

RETURN = r"""
imported:
  description: Archives whose images were (in check mode, would be) imported.
  returned: always
  type: list
  elements: str
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import write_atomically


def stored_names(module: AnsibleModule, ctr: str) -> set[str] | None:
    """The names of the images that containerd has; None when containerd does not answer."""
    if not Path(ctr).exists():
        return None
    code, out, _err = module.run_command([ctr, "--namespace=k8s.io", "images", "list", "--quiet"])
    return None if code else set(out.split())


def load_record(path: Path) -> dict[str, str]:
    """Image name -> SHA-256 digest of the archive that it was imported from."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def import_archive(module: AnsibleModule, ctr: str, archive: str, staged: str) -> None:
    code, _out, err = module.run_command([ctr, "--namespace=k8s.io", "images", "import", staged])
    if code:
        module.fail_json(msg=f"containerd cannot import {archive}: {err.strip()[-600:]}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "archives": {"type": "list", "elements": "path", "required": True},
            "record": {"type": "path", "default": "/var/lib/ovn-k8s/kubernetes-images.json"},
            "ctr": {"type": "path", "default": "/usr/local/bin/ctr"},
            "images": {"type": "list", "elements": "dict", "default": []},
            "staged": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    ctr = module.params["ctr"]
    record_path = Path(module.params["record"])
    images: list[dict[str, Any]] = module.params["images"]
    have = stored_names(module, ctr)
    if have is None and not module.check_mode:
        module.fail_json(msg=f"containerd does not answer to {ctr}: see journalctl -u containerd")
    record = load_record(record_path)
    missing = [
        image
        for image in images
        if not all(name in (have or ()) and record.get(name) == image["sha256"] for name in image["names"])
    ]
    if not module.check_mode:
        for image in missing:
            staged = module.params["staged"].get(image["archive"])
            if staged is None:
                continue
            import_archive(module, ctr, image["archive"], staged)
            record.update(dict.fromkeys(image["names"], image["sha256"]))
            write_atomically(record_path, json.dumps(record, indent=1, sort_keys=True) + "\n", 0o600)
    module.exit_json(changed=bool(missing), imported=[image["archive"] for image in missing])


if __name__ == "__main__":
    main()
