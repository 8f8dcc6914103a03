#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_release
short_description: Fill a folder with release executables, checked against their published SHA-256 digests
version_added: 0.1.0
description:
  - Downloads the executables that the folder does not have yet, checks each one against the digest that its project
    publishes beside it, and writes the file C(SHA256SUMS) that M(ovn_k8s.cluster.kubernetes_binaries) reads.
  - What is complete is not asked for again. An interrupted run leaves nothing half done. Two runs at once wait for
    each other.
  - Meant to be delegated to the control machine.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  dest:
    description: The folder.
    type: path
    required: true
  artifacts:
    description: The published files.
    type: list
    elements: dict
    required: true
    suboptions:
      url:
        description: Address of the executable or of a tar archive.
        type: str
        required: true
      checksum_url:
        description: Address of its digest, either alone or as lines of C(sha256sum).
        type: str
        required: true
      name:
        description: Name in the folder, when the published file is the executable itself.
        type: str
        default: ''
      members:
        description: For an archive, the name in the folder and the name in the archive of each wanted executable.
        type: dict
        default: {}
  timeout:
    description: Seconds without an answer after which a download is given up.
    type: int
    default: 60
  retries:
    description: How often a failed download is tried again.
    type: int
    default: 2
attributes:
  check_mode:
    support: full
    description: Names what is missing and downloads nothing.
  diff_mode:
    support: none
    description: Executables have no readable difference.
  idempotent:
    support: full
    description: A second run downloads nothing.
  platform:
    support: full
    platforms: posix
    description: Runs on the control machine.
"""

EXAMPLES = r"""
- name: Have kubectl at hand
  ovn_k8s.cluster.kubernetes_release:
    dest: ~/.cache/ovn-k8s/kubernetes-1.37.2
    artifacts:
      - name: kubectl
        url: https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl
        checksum_url: https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl.sha256
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
downloaded:
  description: Names of the executables that were (in check mode, would be) downloaded.
  returned: always
  type: list
  elements: str
"""

import shutil
import time
from pathlib import Path
from typing import IO

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.releases import (
    Artifact,
    ReleaseError,
    fetch,
    locked,
    missing,
)


def downloader(timeout: int, retries: int):  # type: ignore[no-untyped-def]
    """A function that fetches an address into a file and tries again when that fails."""

    def download(address: str, stream: IO[bytes]) -> None:
        for attempt in range(retries + 1):
            stream.seek(0)
            stream.truncate()
            try:
                with open_url(address, timeout=timeout, follow_redirects="all") as answer:
                    shutil.copyfileobj(answer, stream, 1 << 20)
                return
            except (OSError, ValueError) as error:
                # HTTPError is an OSError as well; what the server refuses is not asked for again
                refused = getattr(error, "code", None) in (401, 403, 404, 410)
                if attempt == retries or refused:
                    raise OSError(str(error)) from error
                time.sleep(1 + attempt)

    return download


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "artifacts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "url": {"type": "str", "required": True},
                    "checksum_url": {"type": "str", "required": True},
                    "name": {"type": "str", "default": ""},
                    "members": {"type": "dict", "default": {}},
                },
            },
            "timeout": {"type": "int", "default": 60},
            "retries": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["dest"])
    artifacts = [
        Artifact(item["url"], item["checksum_url"], item["name"], item["members"] or None)
        for item in module.params["artifacts"]
    ]
    for artifact in artifacts:
        if not all(artifact.names):
            module.fail_json(msg=f"{artifact.url}: give either name or members")
    wanted = missing(folder, artifacts)
    if wanted and not module.check_mode:
        try:
            with locked(folder):
                wanted = missing(folder, artifacts)
                for artifact in wanted:
                    fetch(folder, artifact, downloader(module.params["timeout"], module.params["retries"]))
        except ReleaseError as error:
            module.fail_json(msg=str(error))
        except OSError as error:
            module.fail_json(msg=f"{folder} cannot be filled: {error}")
    names = [name for artifact in wanted for name in artifact.names]
    module.exit_json(changed=bool(names), downloaded=names)


if __name__ == "__main__":
    main()
