# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The API server, asked as a kubelet does it: with a client certificate, and the server's own checked."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

SECONDS = 15.0
SILENCE_SECONDS = 90.0

Document = dict[str, Any]


class ApiError(Exception):
    """The server refused or was not reached; `status` is 0 then."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})" if status else message)
        self.status = status


@dataclass(frozen=True)
class Access:
    """Where the server is, and the files that prove who is who."""

    server: str
    authority: str
    certificate: str
    key: str


class Api:
    """One API server; each request has its own connection."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def get(self, path: str, **query: str) -> Document:
        """One document."""
        return self._whole("GET", path, query)

    def post(self, path: str, body: Document) -> Document:
        """Make something."""
        return self._whole("POST", path, {}, body)

    def put(self, path: str, body: Document) -> Document:
        """Replace something."""
        return self._whole("PUT", path, {}, body)

    def patch(self, path: str, body: Document) -> Document:
        """Change something by a strategic merge."""
        return self._whole("PATCH", path, {}, body)

    def delete(self, path: str, body: Document) -> Document:
        """Remove something."""
        return self._whole("DELETE", path, {}, body)

    def watch(self, path: str, version: str, **query: str) -> Iterator[Document]:
        """Events since a resource version, until the server ends the watch."""
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": "300"}
        connection, response = self._ask("GET", path, query, None, SILENCE_SECONDS)
        try:
            for line in response:
                event: Document = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(int(event["object"].get("code", 0)), str(event["object"].get("message")))
                yield event
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(0, f"the watch of {path} broke: {error!r}") from error
        finally:
            connection.close()

    def _whole(self, method: str, path: str, query: dict[str, str], body: Document | None = None) -> Document:
        connection, response = self._ask(method, path, query, body, SECONDS)
        try:
            document: Document = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(0, f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        return document

    def _ask(
        self, method: str, path: str, query: dict[str, str], body: Document | None, seconds: float
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        access, place = self._access, urlsplit(self._access.server)
        kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind, "Accept": "application/json", "User-Agent": "kubelet-standin"}
        try:
            context = ssl.create_default_context(cafile=access.authority)
            context.load_cert_chain(access.certificate, access.key)
            connection = http.client.HTTPSConnection(
                place.hostname or "", place.port or 443, timeout=seconds, context=context
            )
            connection.request(
                method, f"{path}?{urlencode(query)}" if query else path, json.dumps(body) if body else None, headers
            )
            response = connection.getresponse()
            if response.status >= 300:
                text = response.read(4000).decode(errors="replace")
                connection.close()
                raise ApiError(response.status, f"{method} {path}: {text}")
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {path}: {error!r}") from error
        return connection, response
