# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""win_feature: what is installed now works after the next restart only."""

from __future__ import annotations

from typing import Any

from ..features import FEATURES
from .call import Call, Failed


def feature(call: Call) -> dict[str, Any]:
    """win_feature."""
    memory, names = call.computer.memory, call.arguments["name"]
    if unknown := [name for name in names if name not in FEATURES]:
        raise Failed(
            "Failed to install Windows Feature: ArgumentNotValid: The role, role service, or feature name is not "
            f"valid: '{','.join(unknown)}'. The name was not found."
        )
    present = call.get("state", "present") == "present"
    if not present:
        raise Failed("STAND-IN: the removal of features is not modelled")
    missing = [name for name in names if name not in (*memory.features, *memory.features_pending)]
    if missing and not call.check:
        call.computer.add_features(missing)
    results = [
        {
            "id": FEATURES[name].id,
            "display_name": FEATURES[name].display_name,
            "message": [],
            "reboot_required": True,
            "skip_reason": "NotSkipped",
            "success": True,
        }
        for name in missing
    ]
    return {
        "changed": bool(missing),
        "feature_result": results,
        "success": True,
        "exitcode": "SuccessRestartRequired" if missing else "NoChangeNeeded",
        # Windows asks for the restart again until it was made.
        "reboot_required": bool(missing) or memory.restart_needed,
    }
