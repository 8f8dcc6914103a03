# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can be wrong with wanted HNS objects. Each message names the object, the option and the next step."""

from __future__ import annotations


class HnsError(Exception):
    """The wanted objects cannot be had."""


class InvalidObject(HnsError):
    """An option that does not exist or a value that it does not take, or a malformed document from HNS."""


class DuplicateName(HnsError):
    """Several objects carry the name by which one is meant (HNS does not make names unique)."""

    def __init__(self, kind: str, name: str, ids: list[str]) -> None:
        super().__init__(
            f"{kind} {name!r}: HNS has {len(ids)} of this name ({', '.join(sorted(ids))}); remove all but one first"
        )


class ImmutableChange(HnsError):
    """A change that HNS can only make by deleting the object and creating another."""

    def __init__(self, kind: str, name: str, options: list[str]) -> None:
        super().__init__(
            f"{kind} {name!r}: {', '.join(options)} cannot be changed in place; "
            "set replace: true to delete it and create it again, which interrupts what uses it"
        )


class StillInUse(HnsError):
    """A network that would be deleted while endpoints which nobody asked to remove are on it."""

    def __init__(self, name: str, endpoints: list[str]) -> None:
        super().__init__(
            f"network {name!r} still has endpoints: {', '.join(sorted(endpoints))}; "
            "remove them first, or set force: true to delete them with the network"
        )


class MissingReference(HnsError):
    """An endpoint or load balancer refers to something that neither exists nor is wanted."""


class FeatureMissing(HnsError):
    """The HNS of this machine is too old (or of a branch without it) for what is wanted."""

    def __init__(self, what: str, feature: str, needed: str, has: str) -> None:
        super().__init__(
            f"{what} needs the HNS feature {feature} (HNS {needed}); this machine has HNS {has}. "
            "Install the current cumulative update of Windows or do without it"
        )
