# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Feature gates by version of HNS, as hcsshim has them (evidence: unit)."""

from __future__ import annotations

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns import versions
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.errors import FeatureMissing, InvalidObject
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.versions import Version


@pytest.mark.parametrize(
    ("feature", "has", "lacks"),
    [
        ("v2_api", [(9, 2), (10, 0), (15, 4)], [(7, 2), (9, 1)]),
        ("dsr", [(9, 3), (9, 5), (10, 2), (11, 0), (15, 0)], [(9, 2), (10, 0), (10, 1)]),
        ("slash32_endpoints", [(9, 3), (10, 4), (11, 0)], [(10, 0), (10, 3)]),
        ("vxlan_port", [(10, 3), (13, 2)], [(9, 5), (10, 2)]),
        ("l4_proxy", [(9, 5), (10, 5), (11, 11), (12, 1), (13, 1), (14, 0)], [(10, 4), (11, 10), (12, 0), (13, 0)]),
        ("network_acl", [(15, 0)], [(14, 9)]),
        ("modify_load_balancer", [(15, 4), (16, 0)], [(15, 3)]),
    ],
)
def test_features(feature: str, has: list[tuple[int, int]], lacks: list[tuple[int, int]]) -> None:
    assert [v for v in has if not versions.supports(Version(*v), feature)] == []
    assert [v for v in lacks if versions.supports(Version(*v), feature)] == []


def test_a_missing_feature_is_explained() -> None:
    with pytest.raises(FeatureMissing, match=r"dsr \(HNS 9.3 to 9.x, or 10.2 and later\).*has HNS 10.1"):
        versions.require(Version(10, 1), "dsr", "load balancer 'x'")


def test_every_feature_is_somewhere() -> None:
    assert versions.supported(Version(15, 4)) == frozenset(versions.FEATURES)
    assert versions.supported(Version(6, 0)) == frozenset()


@pytest.mark.parametrize("document", [None, {}, {"Major": 9}, {"Major": "x", "Minor": 1}, []])
def test_a_malformed_version_is_refused(document: object) -> None:
    with pytest.raises(InvalidObject, match="gave no version"):
        versions.parse_version(document)
