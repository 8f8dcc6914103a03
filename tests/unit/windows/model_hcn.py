# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The calls of HcnLibrary on the lab's model of HNS, without any library between them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lab.windows.hcn_model import Model
from ovn_k8s.core.hns import v1
from ovn_k8s.core.hns.errors import InvalidObject
from ovn_k8s.core.hns.versions import Version
from ovn_k8s.windows.hcn_errors import HcnCallError
from ovn_k8s.windows.kinds import Kind


class ModelHcn:
    """See `ovn_k8s.windows.host_network.Hcn`."""

    def __init__(self, model: Model | None = None) -> None:
        self.model = model or Model()

    def _call(self, function: str, guid: str = "", handle: int = 0, text: str = "") -> tuple[int, str]:
        code, new, value, record = self.model.call(function, guid, handle, text)
        if code:
            raise HcnCallError(function, guid, code, record)
        return new, value

    def version(self) -> Version:
        return Version(*self.model.state.version)

    def ids(self, kind: Kind) -> list[str]:
        listed = _parsed(self._call(f"HcnEnumerate{kind}s")[1])
        if not isinstance(listed, list):
            raise InvalidObject(f"no list but {listed!r}")
        return [str(id_).lower() for id_ in listed]

    def read(self, kind: Kind, id_: str) -> Any:
        handle, _ = self._call(f"HcnOpen{kind}", id_)
        return _parsed(self._call(f"HcnQuery{kind}Properties", handle=handle)[1])

    def create(self, kind: Kind, document: dict[str, Any], network_id: str = "") -> Any:
        parent = self._call("HcnOpenNetwork", network_id)[0] if kind is Kind.ENDPOINT else 0
        handle, _ = self._call(f"HcnCreate{kind}", str(document.get("ID", "")), parent, json.dumps(document))
        return _parsed(self._call(f"HcnQuery{kind}Properties", handle=handle)[1])

    def modify(self, kind: Kind, id_: str, request: dict[str, Any]) -> None:
        handle, _ = self._call(f"HcnOpen{kind}", id_)
        self._call(f"HcnModify{kind}", handle=handle, text=json.dumps(request))

    def attach(self, container_id: str, endpoint_id: str) -> None:
        handle, _ = self._call("HcsOpenComputeSystem", text=container_id)
        request = {"ResourceType": "Network", "RequestType": "Add", "Settings": endpoint_id}
        try:
            self._call("HcsModifyComputeSystem", handle=handle, text=json.dumps(request))
        finally:
            self._call("HcsCloseComputeSystem", handle=handle)

    def containers_of(self, endpoint_id: str) -> frozenset[str]:
        return frozenset(self.hns_call("GET", f"/endpoints/{endpoint_id}")["SharedContainers"])

    def hns_call(self, method: str, path: str, body: str = "") -> Any:
        return v1.output(self.model.call("HNSCall", "", 0, method, path, body)[2], f"{method} {path}")

    def delete(self, kind: Kind, id_: str) -> None:
        self._call(f"HcnDelete{kind}", id_)


def _parsed(text: str) -> Any:
    """As the library does it."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidObject(f"no JSON but {text!r}") from error
