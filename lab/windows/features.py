# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Windows features that the model knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One feature. `services` come with it, after the restart that each of these needs."""

    id: int
    display_name: str
    services: tuple[str, ...] = ()


FEATURES = {
    "Containers": Feature(379, "Containers", ("hns", "vmcompute")),
    "Hyper-V": Feature(20, "Hyper-V", ("vmms",)),
}
