# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The archives of the pod images are what container runtimes import."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from lab.images import image


def test_archive() -> None:
    archive = image("localhost/thing:1", {"Entrypoint": ["/bin/thing"]}, b"layer", "amd64")
    assert archive == image("localhost/thing:1", {"Entrypoint": ["/bin/thing"]}, b"layer", "amd64")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:

        def read(name: str) -> bytes:
            found = members.extractfile(name)
            assert found
            return found.read()

        (manifest,) = json.loads(read("manifest.json"))
        assert manifest["RepoTags"] == ["localhost/thing:1"]
        (layer,) = manifest["Layers"]
        configuration = read(manifest["Config"])
        assert manifest["Config"] == f"{hashlib.sha256(configuration).hexdigest()}.json"
        settings = json.loads(configuration)
        assert settings["config"]["Entrypoint"] == ["/bin/thing"]
        assert settings["architecture"] == "amd64"
        assert settings["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(read(layer)).hexdigest()}"]
