# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which version of HNS has which feature (hcsshim, hcn/hcnglobals.go, as of August 2026).

The version is that of `GET /globals/version`. It says more than the Windows build: features came with updates, and
some exist on two branches but not between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import FeatureMissing, InvalidObject


@dataclass(frozen=True, order=True)
class Version:
    """A version of HNS, e.g. 13.2."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


_WHOLE_BRANCH = 1 << 31
_OPEN = Version(_WHOLE_BRANCH, _WHOLE_BRANCH)


def _from(major: int, minor: int) -> tuple[Version, Version]:
    return Version(major, minor), _OPEN


def _branch(major: int, minor: int) -> tuple[Version, Version]:
    return Version(major, minor), Version(major, _WHOLE_BRANCH)


FEATURES: Mapping[str, tuple[tuple[Version, Version], ...]] = {
    "acl": (_from(7, 2),),
    "v2_api": (_from(9, 2),),
    "remote_subnet": (_from(9, 2),),
    "host_route": (_from(9, 2),),
    "dsr": (_branch(9, 3), _from(10, 2)),
    "slash32_endpoints": (_branch(9, 3), _from(10, 4)),
    "vxlan_port": (_from(10, 3),),
    "acl_protocol_252": (_from(11, 0),),
    "ipv6_dual_stack": (_from(11, 10),),
    "session_affinity": (_from(12, 0),),
    "set_policy": (_from(13, 0),),
    "l4_proxy": (_branch(9, 5), _branch(10, 5), _branch(11, 11), _branch(12, 1), _from(13, 1)),
    "l4_wfp_proxy": (_from(13, 2),),
    "tier_acl": (_from(14, 0),),
    "network_acl": (_from(15, 0),),
    "nested_ip_set": (_from(15, 0),),
    "disable_host_port": (_from(15, 1),),
    "modify_load_balancer": (_from(15, 4),),
    "accelnet": (_from(15, 4),),
}
"""Feature to the ranges of versions (both ends included) that have it."""


def parse_version(document: Any) -> Version:
    """The version in `{"Major": 13, "Minor": 2}`. Raises InvalidObject."""
    try:
        return Version(int(document["Major"]), int(document["Minor"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidObject(f"HNS gave no version but {document!r}") from error


def supports(version: Version, feature: str) -> bool:
    """Whether this HNS has a feature of `FEATURES`."""
    return any(first <= version <= last for first, last in FEATURES[feature])


def supported(version: Version) -> frozenset[str]:
    """All features that this HNS has."""
    return frozenset(feature for feature in FEATURES if supports(version, feature))


def needed(feature: str) -> str:
    """The versions that have a feature, for people: `9.3 to 9.x, or 10.2 and later`."""
    texts = []
    for first, last in FEATURES[feature]:
        texts.append(f"{first} and later" if last == _OPEN else f"{first} to {first.major}.x")
    return ", or ".join(texts)


def require(version: Version, feature: str, what: str) -> None:
    """Raise FeatureMissing when this HNS lacks the feature that `what` needs."""
    if not supports(version, feature):
        raise FeatureMissing(what, feature, needed(feature), str(version))
