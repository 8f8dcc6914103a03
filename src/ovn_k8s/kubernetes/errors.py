# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can go wrong between us and the API server."""

from __future__ import annotations


class KubernetesError(Exception):
    """Anything that a request to the API server can fail with."""


class ConfigurationError(KubernetesError):
    """The kubeconfig cannot be used. The message names the file and the cause, never a secret of it."""


class ApiUnreachable(KubernetesError):
    """No answer: no connection, broken connection, refused TLS or silence. The message names the server."""


class ApiRefused(KubernetesError):
    """The server answered with an error. `status` is the HTTP status, `reason` Kubernetes' word such as NotFound.

    `retry_after` is the delay in seconds that the server asks for, or None.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}" if message else f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Expired(ApiRefused):
    """410: the resource version is too old (or the page's continuation is): list again."""
