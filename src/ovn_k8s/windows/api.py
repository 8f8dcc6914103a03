# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Requests to the Kubernetes API server with nothing but the standard library, which is all that the bundle has.

The node proves who it is with a client certificate; the server's certificate is always checked.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 90.0
"""A watch brings a bookmark every minute; one that stays silent for longer is taken for dead."""


class ApiError(Exception):
    """The API server was not reached or refused; the message names the request and the cause."""


class Expired(ApiError):
    """The resource version of a watch is too old (410): list again."""


@dataclass(frozen=True)
class Access:
    """Where the API server is, and the files by which node and server know each other."""

    server: str
    ca_certificate: Path
    certificate: Path
    private_key: Path


class Api:
    """One API server. Each request has a connection of its own, so any thread may use it."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """One document. Raises ApiError."""
        return self._document("GET", path, query)

    def merge_patch(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Apply a JSON merge patch (RFC 7396). Raises ApiError."""
        return self._document("PATCH", path, None, patch)

    def watch(self, path: str, resource_version: str, seconds: int) -> Iterator[dict[str, Any]]:
        """The events of a watch, for at most `seconds`. Raises ApiError, and Expired among them."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        connection, response = self._request("GET", path, query, None, SILENCE_SECONDS)
        try:
            for line in response:
                event = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    kind = Expired if status.get("code") == 410 else ApiError
                    raise kind(f"watch of {path}: {status.get('message')}")
                yield event
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"the watch of {path} broke: {error}") from error
        finally:
            connection.close()

    def _document(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        connection, response = self._request(method, path, query, body, CONNECT_SECONDS)
        try:
            document = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if not isinstance(document, dict):
            raise ApiError(f"{method} {path}: the answer is no object")
        return document

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        silence_seconds: float,
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        server = urlsplit(self.access.server)
        headers = {"Accept": "application/json", "User-Agent": "ovn-k8s-windows"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        target = path + (f"?{urlencode(query)}" if query else "")
        connection = None
        try:
            # Read again each time: certificates are renewed while the service runs.
            context = ssl.create_default_context(cafile=str(self.access.ca_certificate))
            # Since 3.13 Python also wants every certificate to name its authority's key, which not all clusters' do.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.load_cert_chain(self.access.certificate, self.access.private_key)
            connection = http.client.HTTPSConnection(
                str(server.hostname), server.port or 443, timeout=CONNECT_SECONDS, context=context
            )
            connection.request(method, target, json.dumps(body) if body is not None else None, headers)
            connection.sock.settimeout(silence_seconds)
            response = connection.getresponse()
            if response.status >= 300:
                raise _refusal(method, path, response)
        except (OSError, http.client.HTTPException) as error:
            if connection is not None:
                connection.close()
            raise ApiError(f"{method} {self.access.server}{path}: {error}") from error
        except ApiError:
            if connection is not None:
                connection.close()
            raise
        return connection, response


def _refusal(method: str, path: str, response: http.client.HTTPResponse) -> ApiError:
    try:
        message = json.loads(response.read()).get("message", "")
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        message = response.reason
    kind = Expired if response.status == 410 else ApiError
    return kind(f"{method} {path} was answered with {response.status}: {message}")
