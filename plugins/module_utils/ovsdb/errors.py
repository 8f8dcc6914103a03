# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can go wrong between us and a database server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OvsdbError(Exception):
    """Anything that a database connection can fail with."""


class ConnectionFailed(OvsdbError):
    """No remote could be reached, or the connection broke. Names every remote that was tried and the cause.

    `electing`: a server answered that is without a leader now, so it is worth to wait a moment.
    """

    electing = False


class TlsFailed(ConnectionFailed):
    """The peer was reached but TLS was refused: an untrusted certificate, a missing key, no TLS at all."""


class NotLeader(ConnectionFailed):
    """The servers that answered are not the leader of their cluster, so they take no writes."""

    electing = True


class NoCluster(ConnectionFailed):
    """The server has lost its cluster."""

    electing = True


class Timeout(OvsdbError):
    """The server did not answer in time. Whether a transaction was carried out is then not known."""


class TransactionFailed(OvsdbError):
    """The server refused a transaction; nothing of it was carried out.

    `error` is the server's word for the kind of failure, as "constraint violation"; `operation` what was refused.
    """

    def __init__(self, error: str, details: str, operation: Mapping[str, Any] | None) -> None:
        where = f" ({operation['op']} on {operation.get('table', '?')})" if operation else ""
        super().__init__(f"{error}{where}: {details}" if details else f"{error}{where}")
        self.error = error
        self.details = details
        self.operation = operation


class Stale(TransactionFailed):
    """The rows that a plan rests on have changed meanwhile: read again and plan anew."""
