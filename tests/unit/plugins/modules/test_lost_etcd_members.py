# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which members of etcd are no masters any more."""

from __future__ import annotations

from ansible_collections.ovn_k8s.cluster.plugins.modules.kubernetes_etcd_member import lost


def test_a_name_tells_a_member_and_an_address_one_that_has_not_started() -> None:
    members = {"m1": "http://127.0.0.1:1", "m2": "http://127.0.0.1:2"}
    found = [
        {"name": "m1", "urls": ["http://127.0.0.1:3"]},
        {"name": "m3", "urls": ["http://127.0.0.1:1"]},
        {"name": "", "urls": ["http://127.0.0.1:2"]},
        {"name": "", "urls": ["http://127.0.0.1:4"]},
    ]
    assert [lost(member, members) for member in found] == [False, True, False, True]
    assert not any(lost(member, None) for member in found)
