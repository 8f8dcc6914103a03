# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `pki_certificates`: keeps keys and certificates in a directory of the control machine, and nowhere else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

TEXTS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "authorities": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "common_name": {"type": "str", "required": True},
            "valid_days": {"type": "int", "default": 3650},
        },
    },
    "certificates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "authority": {"type": "str", "required": True},
            "common_name": {"type": "str", "required": True},
            "organizations": TEXTS,
            "dns_names": TEXTS,
            "ip_addresses": TEXTS,
            "usages": {"type": "list", "elements": "str", "choices": ["client", "server"], "default": ["client"]},
            "valid_days": {"type": "int", "default": 365},
        },
    },
    "key_pairs": TEXTS,
    "renew_before_days": {"type": "int", "default": 60},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Carries out `pki_certificates` in the process of ansible-playbook."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        validated = ArgumentSpecValidator(ARGUMENTS).validate(self._task.args)
        if validated.error_messages:
            raise AnsibleActionFail("pki_certificates: " + "; ".join(validated.error_messages))
        try:
            from ..plugin_utils.pki import Authority, Certificate, PkiError, Store
        except ImportError as error:
            raise AnsibleActionFail(
                "pki_certificates needs the Python package cryptography >= 43 beside ansible-core on the "
                f"control machine: {error}"
            ) from error
        wanted = validated.validated_parameters
        directory = Path(os.path.expanduser(wanted["directory"]))
        dry = bool(self._task.check_mode)
        store = Store(directory, renew_before=timedelta(days=wanted["renew_before_days"]), dry=dry)
        authorities = [Authority(**item) for item in wanted["authorities"]]
        items: list[dict[str, Any]] = [
            {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
            for item in wanted["certificates"]
        ]
        certificates = [Certificate(**item) for item in items]
        try:
            with _locked(directory, dry):
                made = store.ensure(authorities, certificates, wanted["key_pairs"])
        except (PkiError, OSError, ValueError) as error:
            raise AnsibleActionFail(f"pki_certificates: {error}") from error
        listed = [{"path": item.path, "reason": item.reason} for item in made]
        result |= {"changed": bool(made), "made": listed}
        if self._task.diff and made:
            after = "".join(f"{item.path}  ({item.reason})\n" for item in made)
            result["diff"] = {
                "before_header": "certificates",
                "after_header": "certificates",
                "before": "",
                "after": after,
            }
        return result


@contextmanager
def _locked(directory: Path, dry: bool) -> Iterator[None]:
    """Two runs at once work one after the other."""
    if dry:
        yield
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
