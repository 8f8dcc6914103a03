# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What every module over an OVSDB database does alike: reach it, plan, commit or only report, say what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from .core.addresses import AddressError
from .core.changes import Delete, Insert
from .core.database import Database
from .core.errors import PlanError
from .core.plan import Plan, plan
from .core.rows import MapPatch, Ref, Row, SetPatch
from .core.schema import Schema
from .ovsdb.client import Client, Tables
from .ovsdb.errors import ConnectionFailed, OvsdbError, Timeout, TransactionFailed
from .ovsdb.remote import Remote, Tls, parse_remotes


@dataclass(frozen=True)
class Endpoint:
    """A database, the remote at which its server listens unless told otherwise, and its file on Debian."""

    database: str
    remote: str
    file: str


NORTHBOUND = Endpoint("OVN_Northbound", "unix:/run/ovn/ovnnb_db.sock", "/var/lib/ovn/ovnnb_db.db")
SOUTHBOUND = Endpoint("OVN_Southbound", "unix:/run/ovn/ovnsb_db.sock", "/var/lib/ovn/ovnsb_db.db")
OPEN_VSWITCH = Endpoint("Open_vSwitch", "unix:/run/openvswitch/db.sock", "/etc/openvswitch/conf.db")


@dataclass(frozen=True)
class Wish:
    """What a module wants of a database; see `core.plan.plan` for the meaning of each part."""

    rows: Sequence[Row] = ()
    absent: Sequence[tuple[str, str]] = ()
    owner: str = ""
    unchanged: Sequence[tuple[str, str, str]] = ()
    owners: Sequence[str] = ()

    def plan(self, actual: Database) -> Plan:
        """What has to change for it."""
        return plan(
            self.rows, actual, absent=self.absent, owner=self.owner, unchanged=self.unchanged, owners=self.owners
        )

    def in_empty_database(self) -> dict[str, Any]:
        """The rows as a diff shows them, without a schema to fill in or check anything."""
        return {f"{row.table} {row.name}": _described(row) for row in self.rows}


EMPTY = Database(Schema("", "", {}))
"""Stands for the database of a server that is not installed yet."""


def _described(row: Row) -> dict[str, Any]:
    return {name: _described_value(value) for name, value in sorted(row.columns.items()) if value is not None}


def _described_value(value: Any) -> Any:
    if isinstance(value, MapPatch):
        return dict(value.set)
    if isinstance(value, SetPatch):
        return sorted(map(str, value.add))
    if isinstance(value, Ref):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _described_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset, set)):
        return sorted((_described_value(item) for item in value), key=str)
    return value


def connection_spec(remote: str | None) -> dict[str, Any]:
    """Argument specification of the doc fragment `_connection`; no default where the database is an option."""
    return {
        "remote": {"type": "str", "default": remote} if remote else {"type": "str"},
        "private_key": {"type": "path", "no_log": False},  # a path, not the key
        "certificate": {"type": "path"},
        "ca_certificate": {"type": "path"},
        "timeout": {"type": "float", "default": 10.0},
    }


def create(options: Mapping[str, Any], remote: str | None, *, writes: bool = True, **rules: Any) -> AnsibleModule:
    """The module with its own options, those of the connection and, when it writes, `assume_empty`."""
    spec = {**options, **connection_spec(remote)}
    if writes:
        spec["assume_empty"] = {"type": "bool", "default": False}
    together = [("private_key", "certificate", "ca_certificate"), *rules.pop("required_together", [])]
    return AnsibleModule(argument_spec=spec, supports_check_mode=True, required_together=together, **rules)


def remotes_of(module: AnsibleModule, endpoint: Endpoint) -> tuple[Remote, ...]:
    """The remotes to try.

    Raises:
        ConnectionFailed: the option is none.
    """
    try:
        return parse_remotes(module.params["remote"] or endpoint.remote)
    except ValueError as error:
        raise ConnectionFailed(str(error)) from None


def connect(module: AnsibleModule, endpoint: Endpoint) -> Client:
    """Open the database.

    Raises:
        ConnectionFailed: with the remotes and what was wrong with each.
    """
    params = module.params
    tls = Tls(params["private_key"], params["certificate"], params["ca_certificate"]) if params["private_key"] else None
    return Client(remotes_of(module, endpoint), endpoint.database, tls=tls, timeout=params["timeout"])


AfterCommit = Callable[[Client, Plan], None]


def fulfil(
    module: AnsibleModule,
    endpoint: Endpoint,
    tables: Tables,
    wish: Callable[[Database], Wish],
    after: AfterCommit | None = None,
) -> None:
    """Make a database as wished, report and end the module. `wish` is asked again when somebody else was faster."""
    result = converge(
        module,
        endpoint,
        tables,
        lambda actual: wish(actual).plan(actual),
        lambda: wish(EMPTY).in_empty_database(),
        after,
    )
    module.exit_json(**result)


def converge(
    module: AnsibleModule,
    endpoint: Endpoint,
    tables: Tables,
    make_plan: Callable[[Database], Plan],
    in_empty_database: Callable[[], dict[str, Any]],
    after: AfterCommit | None = None,
) -> dict[str, Any]:
    """Commit a plan in one transaction, or only make it in check mode. Ends the module when it fails.

    Args:
        module, endpoint, tables: where, and the tables to read.
        make_plan: from what is there to what has to change.
        in_empty_database: what `assume_empty` reports.
        after: called when something was committed, as to wait for a daemon.

    Returns:
        What the module reports: changed, changes, diff.
    """
    made: list[Plan] = []

    def remember(actual: Database) -> Plan:
        made.append(make_plan(actual))
        return made[-1]

    try:
        if _server_to_come(module, endpoint):
            if Path(endpoint.file).exists():
                module.warn(
                    f"{endpoint.database}: no server runs, so it was taken for empty, but {endpoint.file} is there: "
                    f"a run may find rows in it, and refuse names that are taken. Start the server and check again"
                )
            rows = in_empty_database()
            return {"changed": bool(rows), "changes": [], **_diff(module, lambda: {"before": {}, "after": rows})}
        with connect(module, endpoint) as client:
            result = client.converge(tables, remember, check=module.check_mode)
            if after and result and not module.check_mode:
                after(client, result)
    except (OvsdbError, PlanError, AddressError) as error:
        fail(module, endpoint, error, made[-1] if made else None)
    return {"changed": bool(result), "changes": _changes(result), **_diff(module, result.diff)}


def _diff(module: AnsibleModule, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The diff, if somebody looks at it: that of many rows takes longer than the rows."""
    return {"diff": make()} if module._diff else {}


def only_given(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Items without the options that were not given, which Ansible would carry about, and back with the result."""
    return [{name: value for name, value in item.items() if value is not None} for item in items]


def _server_to_come(module: AnsibleModule, endpoint: Endpoint) -> bool:
    return bool(
        module.check_mode
        and module.params["assume_empty"]
        and all(r.scheme == "unix" and not Path(r.address).exists() for r in remotes_of(module, endpoint))
    )


def _changes(made: Plan) -> list[dict[str, str]]:
    seen: dict[tuple[str, str], str] = {}
    for change in made.changes:
        action = "create" if isinstance(change, Insert) else "delete" if isinstance(change, Delete) else "update"
        seen.setdefault((change.table.name, change.name), action)
    return [{"action": action, "table": table, "name": name} for (table, name), action in seen.items()]


def fail(module: AnsibleModule, endpoint: Endpoint, error: Exception, made: Plan | None = None) -> NoReturn:
    """End the module with a message that says what failed where, why, and what to do."""
    module.fail_json(msg=_explained(endpoint.database, module.params["remote"] or endpoint.remote, error, made))
    raise AssertionError("unreachable")


def _explained(database: str, remote: str, error: Exception, made: Plan | None) -> str:
    where = f"{database} at {remote}"
    cause = str(error).removeprefix(f"{remote}: ")  # of several remotes, errors name the one that they speak of
    unknown = "whether the change was made is not known; run again"
    if isinstance(error, Timeout):
        return f"{where}: {cause}; {unknown if made else 'is the server busy? raise the option timeout'}"
    if isinstance(error, ConnectionFailed) and made:
        return f"{where}: {cause}; {unknown}"
    if isinstance(error, TransactionFailed):
        return f"{where}: {_subject(error, made)}the server refused the transaction and nothing was changed: {error}"
    if isinstance(error, ConnectionFailed):
        return f"cannot use {where}: {cause}"
    if isinstance(error, OvsdbError):
        return f"{where}: {cause}"
    return f"{where}: nothing was changed: {error}"


def _subject(error: TransactionFailed, made: Plan | None) -> str:
    for change in made.changes if made else ():
        if error.operation in list(change.operations()):
            return f"{change.table.name} {change.name!r}: "
    return ""
