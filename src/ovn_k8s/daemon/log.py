# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Log lines: one line each, time in UTC, `key=value` fields that a program can read, on stdout and stderr.

The unit appends stdout to the log file and gives stderr to the journal.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}: {self.formatException(record.exc_info)}"
        fields = "".join(f" {name}={_value(value)}" for name, value in getattr(record, "fields", {}).items())
        message = message.replace("\n", " | ")
        component = record.name.rsplit(".", 1)[-1]
        return f"{moment}.{int(record.msecs):03d}Z {record.levelname} {component}: {message}{fields}"


def _value(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c in text for c in ' "=\n') else text


def fields(**values: Any) -> dict[str, Any]:
    """Fields of a log line: `LOG.info("port added", extra=fields(object=key))`."""
    return {"fields": values}


def set_up(level: str = "INFO", *, both: bool = True) -> None:
    """Log to stderr and, when `both`, to stdout as well."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if both:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(_Lines())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
