# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What `explain` says, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Explanation:
    """Lines for people; `faults` counts those that say what is wrong."""

    lines: list[str] = field(default_factory=list)
    faults: int = 0

    def say(self, text: str) -> None:
        """What is so."""
        self.lines.append(f"  {text}")

    def fault(self, text: str) -> None:
        """What is wrong, or missing."""
        self.lines.append(f"! {text}")
        self.faults += 1
