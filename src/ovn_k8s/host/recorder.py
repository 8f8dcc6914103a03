# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What was changed, or in check mode would be."""

from __future__ import annotations

import logging
from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Recorder:
    """Carries out changes and lists them in words; in check mode only lists them."""

    def __init__(self, *, check: bool = False) -> None:
        self.check = check
        self.changes: list[str] = []

    def change(self, what: str, action: Callable[[], object] | None = None) -> None:
        """Do `action`, and note `what` once that has succeeded."""
        if action and not self.check:
            action()
            LOG.info("%s", what)
        self.changes.append(what)
