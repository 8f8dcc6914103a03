# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every module of a northbound object, with every option, on a real database: made from the kinds themselves."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, collections_path, run_module
from northbound_values import FOUNDATION, NEWER, VALUES, Values
from ovsdb_servers import SCHEMAS, Server

sys.path.insert(0, str(collections_path()))
NORTHBOUND = "ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound"
KINDS = {kind.module: kind for kind in importlib.import_module(f"{NORTHBOUND}.catalogue").KINDS}

EACH = pytest.mark.parametrize("module", sorted(KINDS))


@pytest.fixture(scope="session")
def newest_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed schema with the columns that newer releases have."""
    schema = json.loads(SCHEMAS["OVN_Northbound"].read_text())
    for (table, column), kind in NEWER.items():
        schema["tables"][table]["columns"][column] = {"type": kind}
    schema.pop("cksum")
    path: Path = tmp_path_factory.mktemp("schema") / "nb.ovsschema"
    path.write_text(json.dumps(schema))
    return path


@pytest.fixture
def server(new_server: Callable[..., Server], newest_schema: Path) -> Server:
    """A database with what objects refer to."""
    server = new_server("OVN_Northbound", schema=newest_schema)
    run_module("ovn_nb", remote=server.remote, network=FOUNDATION)
    for name in ("cp1", "cp2"):
        server.transact({"op": "insert", "table": "Copp", "row": {"name": name}})
    return server


def same_twice(server: Server, module: str, **options: Any) -> dict[str, Any]:
    """Check mode foretells the run to the letter and changes nothing; a second run does nothing."""
    options = {"remote": server.remote, "owner": "shop", **options}
    before = server.dump()
    foretold = run_module(module, check=True, **options)
    assert server.dump() == before, "check mode has changed the database"
    done = run_module(module, **options)
    assert foretold == done
    after = server.dump()
    assert done["changed"] == (after != before)
    assert not run_module(module, **options)["changed"]
    assert server.dump() == after
    return done


def content(server: Server) -> dict[str, Any]:
    """What is in the database, whatever the UUIDs."""
    return server.dump(identities=False)


def test_every_module_has_values() -> None:
    assert set(VALUES) == set(KINDS)


@EACH
def test_every_option_has_values(module: str) -> None:
    kind, values = KINDS[module], VALUES[module]
    known = {option.name for option in kind.options} | {holder.option for holder in kind.holders[:1]}
    assert known == {*values.key, *values.needed, *values.values} | values.elsewhere
    assert set(kind.clearable) == set(values.values) - values.elsewhere


def firsts(values: Values) -> dict[str, Any]:
    return {name: value for name, (value, _second) in values.needed.items()}


@EACH
def test_life_of_an_object(module: str, server: Server) -> None:
    """Create, set, change and unset each option by itself, delete; each step foretold, and done once."""
    values = VALUES[module]
    empty = content(server)
    created = same_twice(server, module, **values.key, **firsts(values))
    assert created["changed"]
    bare = content(server)
    for name, (first, second) in values.needed.items():
        assert same_twice(server, module, **{**values.key, name: second})["changed"], name
        assert content(server) != bare
        same_twice(server, module, **{**values.key, name: first})
        assert content(server) == bare, f"{name} does not go back"
    for name, (first, second) in values.values.items():
        if name in values.elsewhere:
            continue
        beside = dict(values.beside.get(name, {}))
        done = same_twice(server, module, **{**values.key, **beside, name: first})
        assert done["changed"], f"{name}: nothing happens"
        one = server.dump()
        same_twice(server, module, **{**values.key, **beside, name: second})
        assert (server.dump() != one) == (first != second), f"{name} does not change"
        kept = content(server)
        assert not same_twice(server, module, **values.key)["changed"], f"{name}: what is not given does not stay"
        assert content(server) == kept
        same_twice(server, module, **values.key, clear=[name, *beside])
        assert content(server) == bare, f"{name} is not unset"
    gone = same_twice(server, module, **values.key, state="absent")
    assert [change["action"] for change in gone["changes"] if change["table"] == KINDS[module].table] == ["delete"]
    assert content(server) == empty


def together(module: str) -> dict[str, Any]:
    """All options that can be given at once."""
    values = VALUES[module]
    apart = {
        "ovn_logical_router_port": {"ha_chassis_group"},
        "ovn_nat": {"exempted_ext_ips"},
        "ovn_logical_switch_port": {"type"},
    }.get(module, set())
    options = {name: first for name, (first, _second) in values.values.items() if name not in apart | values.elsewhere}
    return {**values.key, **firsts(values), **options}


@EACH
def test_all_options_at_once(module: str, server: Server) -> None:
    """In a list as by itself; the database holds what OVN reads; what comes back is what was given."""
    kind, item = KINDS[module], together(module)
    bare = content(server)
    same_twice(server, module, **{kind.plural: [item]})
    assert not run_module(module, remote=server.remote, owner="shop", **item)["changed"]
    row = next(row for row in server.rows(kind.table) if is_ours(row, kind, item))
    for column, value in VALUES[module].stored.items():
        assert row[column] == value, column

    found = run_module("ovn_nb_info", remote=server.remote, owner="shop", network=True)["network"]
    expected = {"type": "router"} if module == "ovn_logical_switch_port" else {}
    assert sorted_lists(found) == {kind.section: [sorted_lists({**item, **expected})]}
    assert not same_twice(server, "ovn_nb", network=found, state="overridden")["changed"]
    assert not same_twice(server, "ovn_nb", network=found, state="replaced")["changed"]

    needed = {**VALUES[module].key, **firsts(VALUES[module])}
    assert same_twice(server, "ovn_nb", network={kind.section: [needed]}, state="replaced")["changed"] == (
        needed != item
    )
    same_twice(server, module, **{kind.plural: [{**VALUES[module].key, "state": "absent"}]})
    assert content(server) == bare


def is_ours(row: Mapping[str, Any], kind: Any, item: Mapping[str, Any]) -> bool:
    if "external_ids" in row:
        return bool(row["external_ids"].get("ovn-k8s-owner") == "shop")
    return all(row.get(name) == item[name] for name in kind.key)


def sorted_lists(value: Any) -> Any:
    """Without the order of lists, which sets do not keep."""
    if isinstance(value, dict):
        return {key: sorted_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(item) for item in value), key=str)
    return value


@EACH
def test_owners(module: str, server: Server) -> None:
    """Rows of another owner are neither changed nor deleted, and check mode says so as a run does."""
    values = VALUES[module]
    run_module(module, remote=server.remote, owner="shop", **values.key, **firsts(values))
    before = content(server)
    for state in ("present", "absent"):
        for other in ("bank", ""):
            said = []
            for check in (True, False):
                with pytest.raises(ModuleFailed, match=f"belongs to 'shop' and is wanted by .*{other}") as caught:
                    run_module(module, check=check, remote=server.remote, owner=other, **values.key, state=state)
                said.append(caught.value.result["msg"])
            assert said[0] == said[1]
    assert content(server) == before
    run_module("ovn_nb", remote=server.remote, owner="bank", state="deleted")
    assert content(server) == before
    run_module("ovn_nb", remote=server.remote, owner="shop", state="deleted")
    assert content(server) != before


@EACH
def test_what_is_needed_to_create(module: str, server: Server) -> None:
    kind, values = KINDS[module], VALUES[module]
    before = content(server)
    for name in values.needed:
        options = {**values.key, **firsts(values)}
        del options[name]
        with pytest.raises(ModuleFailed, match=f"{kind.table} '.*': to create it, give {name}"):
            run_module(module, remote=server.remote, **options)
    for holder in kind.holders[:1]:
        options = {**values.key, **firsts(values), holder.option: "none"}
        with pytest.raises(ModuleFailed, match=f"belongs into {holder.table} 'none', which does not exist"):
            run_module(module, remote=server.remote, **options)
        del options[holder.option]
        with pytest.raises(ModuleFailed, match=f"to create it, give {holder.option}"):
            run_module(module, remote=server.remote, **options)
    assert content(server) == before


REFERENCES = [
    (module, option.name) for module, kind in sorted(KINDS.items()) for option in kind.options if option.refers
]


@pytest.mark.parametrize(("module", "name"), REFERENCES)
def test_references_to_what_is_not_there(module: str, name: str, server: Server) -> None:
    values, before = VALUES[module], content(server)
    wrong: Any = ["none"] if isinstance(values.values[name][0], list) else "none"
    options = {**values.key, **firsts(values), name: wrong}
    if name == "bfd":
        options |= {"bfd": True, "output_port": "none"}
    with pytest.raises(ModuleFailed, match=r"refers to .* 'none.*', which does not exist; create it first"):
        run_module(module, remote=server.remote, **options)
    assert content(server) == before


@EACH
def test_a_server_that_is_to_come(module: str, tmp_path: Path) -> None:
    """In check mode, before the database is installed."""
    kind, remote = KINDS[module], f"unix:{tmp_path}/nb.sock"
    result = run_module(module, check=True, remote=remote, assume_empty=True, **together(module))
    assert result["changed"]
    assert any(title.startswith(f"{kind.table} ") for title in result["diff"]["after"])
    with pytest.raises(ModuleFailed, match="there is no such socket; is ovsdb-server running"):
        run_module(module, check=True, remote=remote, **together(module))


NEW = [(module, option) for module, kind in sorted(KINDS.items()) for option in kind.options if option.since]


@pytest.mark.parametrize(("module", "option"), NEW, ids=lambda value: getattr(value, "name", value))
def test_a_schema_that_is_too_old(
    module: str, option: Any, new_server: Callable[..., Server], newest_schema: Path, tmp_path: Path
) -> None:
    """The option is refused by name; all others work, also where every option is emptied."""
    kind, values = KINDS[module], VALUES[module]
    schema = json.loads(newest_schema.read_text())
    del schema["tables"][kind.table]["columns"][option.stored_in]
    (tmp_path / "old.ovsschema").write_text(json.dumps(schema))
    server = new_server("OVN_Northbound", schema=tmp_path / "old.ovsschema")
    run_module("ovn_nb", remote=server.remote, network=FOUNDATION)
    old = {name: value for name, value in values.key.items() if name != option.name} | firsts(values)
    wanted = (
        {**old, option.name: {**values.values, option.name: [values.key.get(option.name)]}[option.name][0]}
        if (option.name in values.key)
        else {**old, option.name: values.values[option.name][0]}
    )
    message = f"{kind.table} '.*': option {option.name} needs OVN {option.since} or newer; this database .schema"
    with pytest.raises(ModuleFailed, match=message):
        run_module(module, remote=server.remote, **wanted)
    assert same_twice(server, module, **old)["changed"]
    assert not same_twice(server, "ovn_nb", network={kind.section: [old]}, state="overridden")["changed"]
