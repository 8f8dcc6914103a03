# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The one kind of volume that there is here: a projected one, with the identity of the pod's service account in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .api import Api, Document


def projected(pod: Document) -> Iterator[Document]:
    """The projected volumes of a pod."""
    for volume in pod["spec"].get("volumes") or []:
        if "projected" in volume:
            yield volume


def fill(api: Api, pod: Document, folder: Path) -> None:
    """Write a pod's projected volumes into a folder, each below its name. Raises ApiError.

    A token is not renewed: it is good for an hour, and the pods here are not that old.
    """
    for volume in projected(pod):
        place = folder / volume["name"]
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for source in volume["projected"].get("sources") or []:
            for name, content in _files(api, pod, source):
                (place / name).write_text(content)


def mounts(pod: Document, folder: Path) -> dict[str, Path]:
    """Where containers see the volumes of a pod, and where these lie here."""
    names = {volume["name"] for volume in projected(pod)}
    return {
        mount["mountPath"]: folder / mount["name"]
        for container in pod["spec"]["containers"]
        for mount in container.get("volumeMounts") or []
        if mount["name"] in names
    }


def _files(api: Api, pod: Document, source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    metadata, namespace = pod["metadata"], pod["metadata"]["namespace"]
    if token := source.get("serviceAccountToken"):
        account = pod["spec"].get("serviceAccountName") or "default"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec: Document = {"expirationSeconds": token.get("expirationSeconds", 3600), "boundObjectRef": bound}
        if token.get("audience"):
            spec["audiences"] = [token["audience"]]
        made = api.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        yield token["path"], made["status"]["token"]
    if wanted := source.get("configMap"):
        stored = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{wanted['name']}")["data"]
        for item in wanted.get("items") or [{"key": key, "path": key} for key in stored]:
            yield item["path"], stored[item["key"]]
    for item in (source.get("downwardAPI") or {}).get("items") or []:
        if item.get("fieldRef", {}).get("fieldPath") == "metadata.namespace":
            yield item["path"], namespace
