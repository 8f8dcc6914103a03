# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From a message of the CNI executable to the answer to it, whatever happens between."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from .protocol import LATEST_VERSION, CniError, Code, Request, parse_request, version_result

LOG = logging.getLogger(__name__)


Handler = Callable[[Request], dict[str, Any] | None]


def answer(message: Any, handler: Handler, log: str) -> tuple[int, str]:
    """The code (0, or of the error) and the standard output for one message. `log` says where to look for more."""
    version, operation = LATEST_VERSION, "request"
    try:
        try:
            environment, stdin = dict(message["env"]), str(message["stdin"])
        except (KeyError, TypeError, ValueError) as error:
            raise CniError(Code.DECODING_FAILURE, "a request without env or stdin", str(error)) from error
        operation = f"{environment.get('CNI_COMMAND')} {environment.get('CNI_ARGS', '')}".strip()
        request = parse_request(environment, stdin)
        version = request.version
        result = version_result(version) if request.command == "VERSION" else handler(request)
        return 0, "" if result is None else json.dumps(result)
    except CniError as error:
        LOG.warning("%s failed: code %d: %s", operation, error.code, error)
        return int(error.code), json.dumps(error.to_json(version))
    except Exception as error:
        LOG.exception("%s failed unexpectedly", operation)
        failed = CniError(Code.INTERNAL, f"ovn-k8s failed unexpectedly; see {log}", repr(error))
        return int(Code.INTERNAL), json.dumps(failed.to_json(version))
