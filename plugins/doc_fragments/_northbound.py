# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The options of the modules for objects of the northbound database, from the same descriptions as their arguments.

Private to the collection: may change in any release.
"""

from __future__ import annotations

import json

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.arguments import (
    module_documentation,
    network_documentation,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.catalogue import KINDS


class ModuleDocFragment:
    """A fragment for each module, named as the module, and C(network) for the document of all kinds."""

    DOCUMENTATION = "options: {}"


for _kind in KINDS:  # JSON is YAML
    setattr(ModuleDocFragment, _kind.module.upper(), json.dumps({"options": module_documentation(_kind)}))
_NETWORK = {
    "description": ["The objects, in a list for each kind."],
    "type": "dict",
    "suboptions": network_documentation(KINDS),
}
ModuleDocFragment.NETWORK = json.dumps({"options": {"network": _NETWORK}})  # type: ignore[attr-defined]
