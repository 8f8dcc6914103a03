# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Writes the documentation of all modules, plugins and roles as Markdown: as_markdown.py FOLDER.

One page each and README.md, which lists them. They are made to be read as text too: lists, no tables, no HTML. What is
read is `ansible-doc --metadata-dump` of the collection that `ANSIBLE_COLLECTIONS_PATH` has. Ends with an error when a
page would have markup that nobody understands, or a link to a page that is not there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from antsibull_docs_parser import dom
from antsibull_docs_parser.format import LinkProvider
from antsibull_docs_parser.md import MDFormatter, to_md
from antsibull_docs_parser.parser import Context, parse

COLLECTION = "ovn_k8s.cluster"
KINDS = {"module": "Modules", "inventory": "Inventory plugins", "role": "Roles"}
SPECIAL = re.compile(r"([\\`*<\[\]]|(?<!\w)_)")
SEVERAL_EMPTY = re.compile(r"\n{3,}")
ATTRIBUTES = ("check_mode", "diff_mode", "idempotent", "platform")


def code(text: str) -> str:
    """As code, whatever is in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else '`""`'


class Words(MDFormatter):
    """Ansible's markup as plain Markdown."""

    def format_text(self, part: dom.TextPart) -> str:
        return SPECIAL.sub(r"\\\1", part.text)

    def format_bold(self, part: dom.BoldPart) -> str:
        return f"**{part.text}**"

    def format_italic(self, part: dom.ItalicPart) -> str:
        return f"*{part.text}*"

    def format_code(self, part: dom.CodePart) -> str:
        return code(part.text)

    def format_env_variable(self, part: dom.EnvVariablePart) -> str:
        return code(part.name)

    def format_option_value(self, part: dom.OptionValuePart) -> str:
        return code(part.value)

    def format_url(self, part: dom.URLPart) -> str:
        return f"<{part.url}>"

    def format_link(self, part: dom.LinkPart) -> str:
        return f"[{part.text}]({part.url})"

    def format_module(self, part: dom.ModulePart, url: str | None) -> str:
        return f"[{code(part.fqcn)}]({url})" if url else code(part.fqcn)

    def format_plugin(self, part: dom.PluginPart, url: str | None) -> str:
        return f"[{code(part.plugin.fqcn)}]({url})" if url else code(part.plugin.fqcn)

    @staticmethod
    def _format_option_like(part: dom.OptionNamePart | dom.ReturnValuePart, url: str | None) -> str:
        return code(part.name if part.value is None else f"{part.name}={part.value}")


class Pages(LinkProvider):
    """The pages that there are; a link to another one of this collection is an error."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def plugin_link(self, plugin: dom.PluginIdentifier) -> str | None:
        if not plugin.fqcn.startswith(f"{COLLECTION}."):
            return None
        if plugin.fqcn not in self.names:
            raise ValueError(f"{plugin.fqcn} is referred to, and has no page")
        return file_of(plugin.type, plugin.fqcn)


def file_of(kind: str, name: str) -> str:
    """A role may be called as a module is."""
    plain = name.removeprefix(f"{COLLECTION}.")
    return f"role_{plain}.md" if kind == "role" else f"{plain}.md"


class Page:
    """The page of one module, plugin or role."""

    def __init__(self, kind: str, name: str, pages: Pages) -> None:
        self.kind, self.name, self.pages = kind, name, pages

    def words(self, text: Any) -> str:
        """Markup as one line of Markdown."""
        lines = [text] if isinstance(text, str) else text or []
        current = dom.PluginIdentifier(self.name, self.kind)
        context = Context(current, "main" if self.kind == "role" else None)
        parsed = [part for line in lines for part in parse(line, context, errors="exception")]
        return to_md(parsed, Words(), self.pages, par_sep=" ", current_plugin=current).replace("\n", " ")

    def paragraphs(self, texts: Any) -> Iterator[str]:
        for text in [texts] if isinstance(texts, str) else texts or []:
            yield from (self.words(text), "")

    def options(self, options: Mapping[str, Any], indent: str = "") -> Iterator[str]:
        """Options of a module or role, each with its type, its default and what may be in it."""
        for name, option in sorted(options.items(), key=lambda item: (not item[1].get("required"), item[0])):
            facts = [_type(option), "required" if option.get("required") else _default(option)]
            if "choices" in option:
                facts.append("one of " + ", ".join(code(_value(choice)) for choice in option["choices"]))
            if option.get("aliases"):
                facts.append("or " + ", ".join(map(code, option["aliases"])))
            yield f"{indent}- **{code(name)}** ({'; '.join(filter(None, facts))}): {self.words(option['description'])}"
            yield from self.options(option.get("suboptions") or option.get("options") or {}, f"{indent}  ")

    def returned(self, values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
        for name, value in values.items():
            when = f"; {value['returned']}" if value.get("returned") not in {None, "success", "always"} else ""
            yield f"{indent}- **{code(name)}** ({_type(value)}{when}): {self.words(value['description'])}"
            if "sample" in value:
                sample = yaml.safe_dump(value["sample"], sort_keys=False, allow_unicode=True).removesuffix("...\n")
                yield from _block(sample, f"{indent}  ")
            yield from self.returned(value.get("contains") or {}, f"{indent}  ")

    def reference(self, entry: Mapping[str, Any]) -> str:
        """A line of "see also"."""
        said = f": {self.words(entry['description'])}" if entry.get("description") else ""
        if "link" in entry:
            return f"- [{entry['name']}]({entry['link']}){said}"
        name = entry.get("module") or entry["plugin"]
        url = self.pages.plugin_link(dom.PluginIdentifier(name, entry.get("plugin_type", "module")))
        return f"- [{code(name)}]({url}){said}" if url else f"- {code(name)}{said}"

    def lines(self, doc: Mapping[str, Any], examples: str, returned: Mapping[str, Any]) -> Iterator[str]:
        yield from (f"# {self.name}", "", f"{self.words(doc['short_description'])}.", "")
        yield from self.paragraphs(doc.get("description"))
        for title, key in (("Needs", "requirements"), ("Notes", "notes")):
            if doc.get(key):
                yield from (f"## {title}", "", *(f"- {self.words(text)}" for text in doc[key]), "")
        if doc.get("options"):
            yield from ("## Options", "", *self.options(doc["options"]), "")
        attributes = {name: value for name, value in (doc.get("attributes") or {}).items() if name in ATTRIBUTES}
        if attributes:
            yield from ("## What it can do", "")
            for name, value in attributes.items():
                more = f" {self.words(value['details'])}" if value.get("details") else ""
                yield f"- {code(name)}: **{value['support']}**. {self.words(value['description'])}{more}"
            yield ""
        if examples.strip():
            yield from ("## Examples", "", *_block(examples.strip("\n"), ""), "")
        if returned:
            yield from ("## What it returns", "", *self.returned(returned), "")
        if doc.get("seealso"):
            yield from ("## See also", "", *map(self.reference, doc["seealso"]), "")


def _block(text: str, indent: str) -> Iterator[str]:
    yield from (indent.rstrip(), f"{indent}```yaml")
    yield from (f"{indent}{line}".rstrip() for line in text.rstrip("\n").splitlines())
    yield from (f"{indent}```", "")


def _type(option: Mapping[str, Any]) -> str:
    kind = str(option.get("type", "str")).replace("boolean", "bool")
    return f"{kind} of {option['elements']}" if option.get("elements") else kind


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _default(option: Mapping[str, Any]) -> str:
    return "" if option.get("default") is None else f"default {code(_value(option['default']))}"


def documentation(name: str, kind: str, dumped: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """What there is to say, its examples and what is returned.

    Raises:
        ValueError: ansible-doc could not read it.
    """
    if "error" in dumped:
        raise ValueError(f"{name}: {dumped['error']}")
    if kind == "role":
        return dumped["entry_points"]["main"], "", {}
    return dumped["doc"], dumped["examples"] or "", dumped["return"] or {}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    command = ["ansible-doc", "--metadata-dump", "--no-fail-on-errors", COLLECTION]
    dump = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["all"]
    found = {
        (kind, name): documentation(name, kind, dumped)
        for kind in KINDS
        for name, dumped in sorted(dump.get(kind, {}).items())
        if name.startswith(f"{COLLECTION}.")
    }
    pages = Pages({name for _, name in found})
    index = ["# Everything in this collection", ""]
    previous = ""
    for (kind, name), (doc, examples, returned) in found.items():
        page = Page(kind, name, pages)
        text = SEVERAL_EMPTY.sub("\n\n", "\n".join(page.lines(doc, examples, returned)))
        (folder / file_of(kind, name)).write_text(f"{text.rstrip()}\n", encoding="utf-8")
        if kind != previous:
            index += ["", f"## {KINDS[kind]}", ""]
        previous = kind
        index.append(
            f"- [{name.removeprefix(f'{COLLECTION}.')}]({file_of(kind, name)}): {page.words(doc['short_description'])}"
        )
    (folder / "README.md").write_text("\n".join([*index, ""]), encoding="utf-8")
    print(f"{len(found)} pages in {folder}")


if __name__ == "__main__":
    main()
