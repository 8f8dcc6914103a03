#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `pki_certificates`, which its action plugin of the same name carries out on the control machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pki_certificates
short_description: Keep certificate authorities, certificates and key pairs in a directory of the control machine
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Makes what is missing, and makes anew what is no longer as wanted, all in one call. Keys are EC P-256.
  - A certificate is made anew, with a fresh key, when its subject, names, usages or authority differ, when its key
    does not fit,
    or when it has less than O(renew_before_days) left. An authority keeps its key for life; near its end it gets a
    new certificate
    for it.
  - Runs on the control machine whatever host it is called for; use it with C(run_once). Key material is never returned.
requirements:
  - cryptography >= 43 on the control machine
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Lists what is made, and why.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: posix
options:
  directory:
    description: Directory on the control machine; it is made with mode 0700.
    type: path
    required: true
  authorities:
    description: Certificate authorities, as C(<name>.crt) and C(<name>.key).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: File name without suffix.
        type: str
        required: true
      common_name:
        description: Common name.
        type: str
        required: true
      valid_days:
        description: Days that the authority's certificate is valid.
        type: int
        default: 3650
  certificates:
    description: Certificates, as C(<name>.crt) and C(<name>.key).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Path below O(directory), without suffix.
        type: str
        required: true
      authority:
        description: Name of the authority that signs it.
        type: str
        required: true
      common_name:
        description: Common name, at most 64 characters.
        type: str
        required: true
      organizations:
        description: Organisations; Kubernetes takes them as groups.
        type: list
        elements: str
        default: []
      dns_names:
        description: Alternative names.
        type: list
        elements: str
        default: []
      ip_addresses:
        description: Alternative addresses.
        type: list
        elements: str
        default: []
      usages:
        description: What it can be used for.
        type: list
        elements: str
        choices: [client, server]
        default: [client]
      valid_days:
        description: Days that it is valid.
        type: int
        default: 365
  key_pairs:
    description: Key pairs without certificate, as C(<name>.key) and C(<name>.pub).
    type: list
    elements: str
    default: []
  renew_before_days:
    description: What has fewer days left is made anew.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Keep an authority and a certificate for each host
  ovn_k8s.cluster.pki_certificates:
    directory: ~/.ovn-k8s/pki
    authorities:
      - name: ovn-ca
        common_name: OVN
    certificates:
      - name: hosts/node1/ovn
        authority: ovn-ca
        common_name: node1
        usages: [client, server]
  run_once: true
"""

RETURN = r"""
made:
  description: Paths of certificates and public keys that were, or would be, made, with the reason.
  type: list
  elements: dict
  returned: success
"""
