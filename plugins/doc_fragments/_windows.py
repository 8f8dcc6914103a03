# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation that the modules for Windows hosts share."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment `ovn_k8s.cluster._windows`: where the bundle is, and what runs where; `.change` for those for HNS."""

    DOCUMENTATION = r"""
options:
  program_dir:
    description: Folder of the Windows bundle on the host, as the role C(windows_worker) installs it.
    type: str
    default: 'C:\Program Files\ovn-k8s'
requirements:
  - ansible.windows on the control machine; the programs that M(ovn_k8s.cluster.windows_bundle) brings to the host
notes:
  - The module runs on the control machine. It uses the host's own connection (winrm, psrp or ssh) to run the bundle's
    Python there, which needs an administrator.
attributes:
  platform:
    description: Hosts that it works on.
    support: full
    platforms: windows
"""

    CHANGE = r"""
options:
  replace:
    description:
      - Delete an object and create it again where a change cannot be made in place. Without it such a change is an
        error that names the options.
      - What uses the object is interrupted. The diff says C(replaced).
    type: bool
    default: false
  timeout:
    description: Seconds to wait for HNS, and for the host to come back when its network was changed.
    type: int
    default: 300
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows the options that differ.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""
