# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""JMESPath over what an `_info` module has read."""

from __future__ import annotations

import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import jmespath
except ImportError:
    jmespath = None
    JMESPATH_ERROR: str | None = traceback.format_exc()
else:
    JMESPATH_ERROR = None


class Query:
    """The expression of the option `query`, or none. Ends the module when it cannot be had."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._text = module.params["query"]
        self._compiled: Any = None
        if not self._text:
            return
        if jmespath is None:
            module.fail_json(msg=missing_required_lib("jmespath", reason="for option query"), exception=JMESPATH_ERROR)
        try:
            self._compiled = jmespath.compile(self._text)
        except jmespath.exceptions.JMESPathError as error:
            module.fail_json(msg=f"query {self._text!r} is no JMESPath expression: {error}")

    def results(self, document: Any) -> dict[str, Any]:
        """{"result": what the expression picks out}, or nothing when there is no expression."""
        if self._compiled is None:
            return {}
        try:
            return {"result": self._compiled.search(document)}
        except jmespath.exceptions.JMESPathError as error:
            self._module.fail_json(msg=f"query {self._text!r} fails on this database: {error}")
            raise AssertionError("unreachable") from None
