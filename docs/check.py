#!/usr/bin/env python3
"""Keeps the documentation true. `docs/check.py` exits 1 and says what is wrong; `docs/check.py --write` renews the generated tables.

Checked: every code, command, option, setting and capability stands on its reference page; generated tables are what the
code gives now; relative links and their anchors lead somewhere; paths and decision records named in code and pages exist;
files over 400 lines are listed in docs/adr/0011; blocks marked `<!-- run -->` run.

Marks, each on a line of its own above a fenced block:
    <!-- run -->           a `console` or `python` block that must succeed; `<!-- run exit=6 -->` expects that exit code
    <!-- file: NAME -->    the block is written to NAME in the folder in which the page's blocks run
The blocks of one page run in order in one temporary folder. In a console block lines without `$ ` are commands too,
unless some line has it.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
SOURCE = ROOT / "src" / "carelink"
LONG = 400
sys.path.insert(0, str(ROOT / "src"))

PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")) if "evidence" not in path.relative_to(ROOT).parts
)
MARKED = re.compile(
    r"^<!-- (?P<mark>(?:run|file:)[^\n]*?) -->\n+```(?P<language>[a-z]+)[^\n]*\n(?P<body>.*?)^```$", re.M | re.S
)
GENERATED = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.S)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


# -- generated tables ------------------------------------------------------------------------------------------------


def cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(cell(item) for item in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph)[0]


def reason_codes() -> str:
    from carelink.consent.reasons import ReasonCode
    from carelink.consent.sentences import sentence

    return table(
        ["code", "in English", "中文"],
        [[f"`{code.value}`", sentence(code, "en"), sentence(code, "zh")] for code in ReasonCode],
    )


def errors() -> str:
    import carelink.errors as module
    from carelink.cli.exit_codes import code_of

    rows: list[list[object]] = []
    for name in module.__all__:
        kind = getattr(module, name)
        base = kind.__mro__[1].__name__
        code = code_of(kind("x"))
        rows.append(
            [f"`{kind.code}`", f"`{name}`", f"`{base}`", first_sentence(kind.__doc__), kind.default_hint, int(code)]
        )
    return table(["code", "class", "is a", "meaning", "hint", "exit code"], sorted(rows, key=lambda row: str(row[0])))


def exit_codes() -> str:
    from carelink.cli.exit_codes import Exit

    meaning = {
        "OK": "it ran, all well; a `send` or `preview` of many with mixed effects is well",
        "COULD_NOT_RUN": "it could not run: no home, store, keys or file, or it was interrupted",
        "USAGE": "wrong usage: an unknown option, a malformed value",
        "TAMPERED": "recorded bytes contradict what was signed",
        "DIVERGED": "a recorded decision is not what its recorded facts and policy give",
        "CANNOT_JUDGE": "an unknown version, missing evidence, or no trusted key: neither good nor bad can be said",
        "REFUSED": "the one request was refused or deferred",
    }
    return table(
        ["exit code", "name", "meaning"], [[code.value, f"`{code.name}`", meaning[code.name]] for code in Exit]
    )


def outcomes() -> str:
    from carelink.model.touchpoint import SETTLES
    from carelink.vocabulary import Outcome

    meaning = {
        Outcome.ACCEPTED: "the far end took it",
        Outcome.AWAITING_HUMAN: "it waits at the far end for a person to confirm",
        Outcome.REFUSED: "the far end said no, for good, for this message or address",
        Outcome.OPTED_OUT: "the far end says this recipient opted out; a stop is recorded",
        Outcome.RECIPIENT_LIMIT: "the far end's own limit for this recipient is reached",
        Outcome.THROTTLED: "the far end asks to come later",
        Outcome.NOT_SENT: "certainly no byte of the message was taken",
        Outcome.ACCOUNT: "credentials, balance or account; the channel stops until `carelink channels resume`",
        Outcome.UNKNOWN: "maybe delivered; it counts, and it is not repeated",
    }
    return table(
        ["outcome", "meaning", "slots"],
        [[f"`{item.value}`", meaning[item], SETTLES[item].value] for item in Outcome],
    )


def attributes(kind: type) -> list[tuple[str, str, str]]:
    """(name, default, description) of an attrs class whose docstring has an `Attributes:` section."""
    import attrs

    text = inspect.getdoc(kind) or ""
    section = text.partition("Attributes:")[2].partition("Raises:")[0]
    described: dict[str, str] = {}
    for match in re.finditer(r"^    (?P<names>[a-z_]+(?:, [a-z_]+)*): (?P<says>.*(?:\n {6,}.*)*)", section, re.M):
        for name in match["names"].split(", "):
            described[name] = match["says"]
    rows = []
    for field in attrs.fields(kind):
        default = "required" if field.default is attrs.NOTHING else repr(getattr(field.default, "value", field.default))
        rows.append((field.name, default, described.get(field.name, "")))
    return rows


def capabilities() -> str:
    from carelink.ports.channel import Capabilities

    return table(
        ["capability", "default", "meaning"],
        [[f"`{name}`", f"`{default}`", says] for name, default, says in attributes(Capabilities)],
    )


def channel_info() -> str:
    from carelink.ports.channel import ChannelInfo

    return table(
        ["field", "default", "meaning"],
        [[f"`{name}`", f"`{default}`", says] for name, default, says in attributes(ChannelInfo)],
    )


def parsers(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, argparse.ArgumentParser]]:
    """Every command with its words and its one line of help; groups too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                yield (*words, name), helps.get(name, ""), sub
                yield from parsers(sub, (*words, name))


def is_group(parser: argparse.ArgumentParser) -> bool:
    return any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)


def options(parser: argparse.ArgumentParser) -> list[list[object]]:
    rows: list[list[object]] = []
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
        value = ""
        if action.option_strings and action.nargs != 0:
            value = (
                "{" + ", ".join(map(str, action.choices)) + "}"
                if action.choices
                else str(action.metavar or action.dest.upper())
            )
        elif action.choices:
            value = "{" + ", ".join(map(str, action.choices)) + "}"
        needed = "yes" if action.required else ""
        default = action.default
        shown = (
            ""
            if default in (None, "", [], False, argparse.SUPPRESS)
            else f"`{','.join(default) if isinstance(default, (tuple, list)) else default}`"
        )
        rows.append([names, f"`{value}`" if value else "", needed, shown, (action.help or "").replace("%%", "%")])
    return rows


def cli() -> str:
    from carelink.cli.main import build_parser

    root = build_parser()
    head = ["option", "value", "needed", "default", "meaning"]
    parts = ["## Before any command\n", table(head, options(root))]
    for words, says, parser in parsers(root):
        level = "##" if len(words) == 1 else "###"
        parts.append(f"{level} {' '.join(words)}\n\n{says[:1].upper()}{says[1:]}.\n")
        rows = options(parser)
        if not is_group(parser):
            places = "".join(
                f" [{action.metavar or action.dest}]" if action.nargs == "?" else f" {action.metavar or action.dest}"
                for action in parser._actions
                if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
            )
            parts.append(
                f"`carelink {' '.join(words)}{places}{' [options]' if any(a.option_strings and not isinstance(a, argparse._HelpAction) for a in parser._actions) else ''}`\n"
            )
        if rows:
            parts.append(table(head, rows))
    return "\n".join(parts)


def rule_kinds() -> str:
    from carelink.consent.rules import KINDS

    rows: list[list[object]] = []
    for (kind, version), make in KINDS.items():
        owner = make.__self__  # type: ignore[attr-defined]  each is a class method `of`
        module = sys.modules[owner.__module__]
        says = (module.__doc__ or "").partition(": ")[2].strip().split("\n\n")[0]
        rows.append([f"`{kind}`", version, says, first_sentence(owner.__doc__) if owner.__doc__ else ""])
    return table(["kind", "version", "what it asks", "parameters"], rows)


def bundled_packs() -> str:
    from carelink.packs.fixtures import bundled_fixtures, parse_fixtures
    from carelink.packs.loader import DEFAULT_PACKS, bundled, load_bundled

    rows: list[list[object]] = []
    for name in bundled():
        pack, data = load_bundled(name), bundled_fixtures(name)
        distinct = 0 if data is None else parse_fixtures(data).distinct
        adopted = "yes" if name in DEFAULT_PACKS else "no"
        rows.append([f"`{name}`", pack.version, pack.jurisdiction, len(pack.rules), distinct, adopted, pack.title_en])
    return table(["pack", "version", "jurisdiction", "rules", "distinct fixtures", "adopted by `init`", "title"], rows)


def pack_rules() -> str:
    """Every rule of every bundled pack, with what stands behind it."""
    from carelink.cli.policy_matrix import narrowed, sources
    from carelink.packs.loader import bundled, load_bundled

    head = ["rule", "asks", "kind", "purposes", "only", "authority", "certainty", "in force", "encoded", "source"]
    parts = []
    for name in bundled():
        pack = load_bundled(name)
        rows: list[list[object]] = []
        for rule in pack.rules:
            notes = "; ".join(source.note for source in rule.sources if source.note)
            whence = sources(rule) + (f" ({notes})" if notes else "")
            purposes = "all" if "*" in rule.when.purposes else ", ".join(f"`{item}`" for item in rule.when.purposes)
            rows.append([f"`{rule.id}`", rule.title_en, f"`{rule.kind}`", purposes, narrowed(rule), rule.authority.value,
                         rule.certainty.value, rule.in_force, rule.encoded, whence])  # fmt: skip
        parts.append(f"## {name}\n\n{pack.title_en} ({pack.title_zh}), version {pack.version}.\n\n{table(head, rows)}")
    return "\n".join(parts)


def not_checked() -> str:
    from carelink.packs.obligations import not_checked as found

    return table(
        ["id", "about", "not checked", "不检查", "instead"],
        [[f"`{one.id}`", one.subject, one.en, one.zh, one.instead] for one in found()],
    )


def left_to_you() -> str:
    from carelink.packs.obligations import obligations

    return table(
        ["id", "pack", "duty", "source", "certainty", "what carelink gives"],
        [
            [
                f"`{one.id}`",
                ", ".join(f"`{name}`" for name in one.packs),
                one.en,
                one.source,
                one.certainty.value,
                one.carelink or "nothing",
            ]
            for one in obligations()
        ],
    )


def promotional() -> str:
    from carelink.model.scope import PROMOTIONAL, covers_purpose
    from carelink.vocabulary import Purpose

    return table(
        ["purpose", "family", "ended by a plain stop"],
        [
            [
                f"`{item.value}`",
                f"`{item.family.value}`",
                "yes" if covers_purpose(PROMOTIONAL, item) else "only where it answers this purpose",
            ]
            for item in Purpose
        ],
    )


def entry_kinds() -> str:
    import attrs

    from carelink.audit.entry import BODIES

    rows: list[list[object]] = []
    for kind, body in BODIES.items():
        names = [
            f"`{field.name}{'?' if field.default is None or field.default == () else ''}`"
            for field in attrs.fields(body)
        ]
        rows.append([f"`{kind}`", first_sentence(body.__doc__), ", ".join(names)])
    return table(["kind", "says", "fields"], rows)


def _type(codec: object) -> str:
    from carelink.audit import decided, schema

    says = getattr(codec, "says")
    kept = schema.Form.__subclasses__()
    names = {kind.__name__.lstrip("_") for kind in [*kept, decided._NoteForm]}
    plain = says.removeprefix("array of ")
    return says.replace(plain, f"object `{plain}`") if plain in names else says


def entry_fields() -> str:
    """Every field of every kind with its type, and the objects nested in them."""
    import attrs

    from carelink.audit import bodies
    from carelink.audit.entry import BODIES

    forms = {**{kind: form for kind, form in BODIES.items()}, **{form.__name__: form for form in (
        bodies.PluginEntry, bodies.PluginChannel, bodies.ContactChange, bodies.GuardianChange)}}  # fmt: skip
    rows: list[list[object]] = []
    for kind, form in forms.items():
        for number, field in enumerate(attrs.fields(form)):
            optional = field.default is None or field.default == ()
            rows.append(
                [
                    "" if number else f"`{kind}`",
                    f"`{field.name}{'?' if optional else ''}`",
                    _type(field.metadata["codec"]),
                ]
            )
    return table(["kind or object", "field", "type"], rows)


def entry_facts() -> str:
    from carelink.audit.facts_read import SHAPES

    rows: list[list[object]] = []
    for fact, shape in SHAPES.items():
        for number, (name, codec) in enumerate(shape.codecs.items()):
            mark = "" if name in shape.required else "?"
            rows.append(["" if number else f"`{fact}`", f"`{name}{mark}`", codec.says])
    return table(["fact", "field", "type"], rows)


def entry_words() -> str:
    """The closed lists: a value of such a type is one of these words, and any other is an error."""
    import attrs

    from carelink.audit.entry import BODIES
    from carelink.audit.facts_read import SHAPES
    from carelink.audit.schema import CHANNELS, PURPOSES
    from carelink.consent.facts import Absent, ClockState, StoreState
    from carelink.vocabulary import AgeBand, Effect, Mode, RecipientRole, Standing

    found: dict[str, tuple[str, ...]] = {}
    codecs = [field.metadata["codec"] for form in BODIES.values() for field in attrs.fields(form)]
    from carelink.audit import bodies

    codecs += [f.metadata["codec"] for form in (bodies.ContactChange, bodies.GuardianChange, bodies.PluginChannel)
               for f in attrs.fields(form)]  # fmt: skip
    codecs += [codec for shape in SHAPES.values() for codec in shape.codecs.values()]
    codecs += [PURPOSES["codec"], CHANNELS["codec"]]
    for codec in codecs:
        name = codec.says.removeprefix("array of ")
        if codec.words and not name.startswith(("`", "nothing")):
            found[name] = codec.words
    for kind in (Absent, ClockState, StoreState, AgeBand, Effect, Mode, RecipientRole, Standing):
        found[kind.__name__] = tuple(member.value for member in kind)
    found["ReasonCode"] = ("see [reason codes](reason-codes.md)",)
    rows = [
        [name, ", ".join(word if " " in word else f"`{word}`" for word in words)]
        for name, words in sorted(found.items())
    ]
    return table(["type", "words"], rows)


def findings() -> str:
    from carelink.audit import findings as module

    says = dict(re.findall(r'= "([a-z_]+)"\n    """([^"]*)"""', inspect.getsource(module)))
    return table(["finding", "meaning"], [[f"`{item.value}`", says.get(item.value, "")] for item in module.FindingCode])


def divergences() -> str:
    from carelink.audit import divergence

    says = dict(re.findall(r'= "([a-z_]+)"\n    """([^"]*)"""', inspect.getsource(divergence)))
    return table(
        ["divergence", "meaning"], [[f"`{item.value}`", says.get(item.value, "")] for item in divergence.DivergenceCode]
    )


def screening(name: str) -> str:
    sys.path.insert(0, str(ROOT / "docs"))
    import screening_tables

    made: str = getattr(screening_tables, name)()
    return made


def optout(name: str) -> str:
    sys.path.insert(0, str(ROOT / "docs"))
    import optout_tables

    made: str = getattr(optout_tables, name)()
    return made


def scenario_tables() -> str:
    from scenario_tables import tables

    return tables(table)


def fail_closed() -> str:
    """The fail-closed matrix, from the rows that the test of P2 runs."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "fail_closed_rows", ROOT / "tests" / "promises" / "fail_closed" / "rows.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    facts = list(dict.fromkeys(row.fact for row in module.ROWS))
    rows: list[list[object]] = []
    for fact in facts:
        for way in module.WAYS:
            for row in module.ROWS:
                name = "" if rows and any(r[0] == f"`{fact}`" for r in rows) else f"`{fact}`"
                if row.fact == fact and getattr(row, "way", "") == way:
                    word, _, codes = row.says.partition(" ")
                    rows.append(
                        [
                            name,
                            way,
                            row.what,
                            f"{word.upper() if word in ('refuse', 'defer') else word} "
                            + ", ".join(f"`{code}`" for code in codes.split()),
                        ]
                    )
                elif row.fact == fact and way in getattr(row, "ways", ()):
                    rows.append([name, way, f"cannot be: {row.why}", ""])
    return table(["fact", "way", "what is broken, and where", "what comes of it on every channel"], rows)


GENERATORS: dict[str, Callable[[], str]] = {
    "entry-kinds": entry_kinds,
    "entry-fields": entry_fields,
    "entry-facts": entry_facts,
    "entry-words": entry_words,
    "divergences": divergences,
    "findings": findings,
    "reason-codes": reason_codes,
    "errors": errors,
    "exit-codes": exit_codes,
    "outcomes": outcomes,
    "capabilities": capabilities,
    "channel-info": channel_info,
    "cli": cli,
    "rule-kinds": rule_kinds,
    "packs": bundled_packs,
    "pack-rules": pack_rules,
    "not-checked": not_checked,
    "left-to-you": left_to_you,
    "purposes": promotional,
    "fail-closed": fail_closed,
    "scenario": scenario_tables,
    "screening-actions": lambda: screening("actions"),
    "screening-lists": lambda: screening("lists"),
    "screening-figures": lambda: screening("figures"),
    "optout-figures": lambda: optout("figures"),
    "optout-forms": lambda: optout("forms"),
    "optout-sources": lambda: optout("sources"),
}


def generated(write: bool) -> Iterator[str]:
    seen: set[str] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = text
        for match in list(GENERATED.finditer(text)):
            name = match["name"]
            seen.add(name)
            if name not in GENERATORS:
                yield f"{shown(page)}: nothing generates `{name}`"
                continue
            try:
                made = GENERATORS[name]()
            except Exception as error:  # noqa: BLE001  whatever is missing, the page cannot be true
                yield f"{shown(page)}: `{name}` cannot be generated: {type(error).__name__}: {error}"
                continue
            new = new.replace(match[0], f"{match[1]}{made}{match[3]}")
        if new != text:
            if write:
                page.write_text(new, encoding="utf-8")
                print(f"wrote {shown(page)}")
            else:
                yield f"{shown(page)}: generated tables are old; run `python docs/check.py --write`"
    for name in sorted(set(GENERATORS) - seen):
        yield f"no page has the generated table `{name}`"


# -- presence --------------------------------------------------------------------------------------------------------


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def needs(page: str, words: list[str]) -> Iterator[str]:
    path = REFERENCE / page
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for word in words:
        if f"`{word}`" not in text:
            yield f"docs/reference/{page}: `{word}` is missing"


def environment() -> list[str]:
    """Environment variables that the source reads."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        found.update(re.findall(r"os\.environ(?:\.get\(|\[)\"(CARELINK_[A-Z_]+)\"", path.read_text(encoding="utf-8")))
    return sorted(found)


def presence() -> Iterator[str]:
    import carelink.errors as error_module
    from carelink import settings, vocabulary
    from carelink.audit.kinds import Kind
    from carelink.consent.reasons import ReasonCode
    from carelink.consent.rules import KINDS
    from carelink.ports.channel import Capabilities

    from carelink.packs.fixture_words import CHANGES

    yield from needs("fixtures.md", sorted(CHANGES))
    yield from needs("reason-codes.md", [code.value for code in ReasonCode])
    yield from needs("errors.md", [getattr(error_module, name).code for name in error_module.__all__])
    yield from needs(
        "purposes.md", [*(item.value for item in vocabulary.Purpose), *(item.value for item in vocabulary.Family)]
    )
    yield from needs("channel.md", [field.name for field in Capabilities.__attrs_attrs__])
    yield from needs("channel.md", [item.value for item in vocabulary.Outcome])
    yield from needs("channel.md", [item.value for item in vocabulary.DeliveryEvent])
    yield from needs("log-entry.md", [kind.value for kind in Kind])
    yield from needs("pack.md", sorted({kind for kind, _ in KINDS}))
    yield from needs("pack.md", [item.value for item in (*vocabulary.Authority, *vocabulary.Certainty)])
    names = [*(f"carelink.{key}" for key in settings._MAIN), *(f"paths.{key}" for key in settings._PATHS)]
    names += [
        *(f"plugins.{key}" for key in settings._PLUGINS),
        *(f"routes.{kind.value}" for kind in vocabulary.ChannelKind),
    ]
    yield from needs("settings.md", sorted(names))
    yield from needs("settings.md", environment())


def commands() -> Iterator[str]:
    """Options mentioned in pages exist: `carelink send --jsonl` must be a command with that option."""
    from carelink.cli.main import build_parser

    root = build_parser()
    known = {words: parser for words, _, parser in parsers(root)}
    globals_ = {name for action in root._actions for name in action.option_strings}
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        text = page.read_text(encoding="utf-8")
        spans = [*re.findall(r"`(carelink [^`\n]+)`", text)]
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
            joined = block.replace("\\\n", " ")
            spans += [
                line.removeprefix("$ ").strip()
                for line in joined.splitlines()
                if line.removeprefix("$ ").strip().startswith("carelink ")
            ]
        for span in spans:
            yield from command(span, page, known, globals_)


def command(
    span: str, page: Path, known: dict[tuple[str, ...], argparse.ArgumentParser], globals_: set[str]
) -> Iterator[str]:
    tokens = [token.strip("[]()") for token in span.split("#")[0].split()[1:]]
    while tokens and tokens[0] in globals_:
        tokens = tokens[1:] if tokens[0] in ("--verbose", "--version", "-h", "--help") else tokens[2:]
    if not tokens or not re.fullmatch(r"[a-z]+", tokens[0]):
        return
    words: tuple[str, ...] = ()
    for token in tokens:
        if (*words, token) in known:
            words = (*words, token)
        else:
            break
    if not words:
        yield f"{shown(page)}: there is no command `carelink {tokens[0]}`"
        return
    parser = known[words]
    accepted = {name for action in parser._actions for name in action.option_strings} | globals_
    for token in tokens:
        name = token.partition("=")[0]
        if re.fullmatch(r"--[a-z-]+", name) and name not in accepted and not is_group(parser):
            yield f"{shown(page)}: `carelink {' '.join(words)}` has no option `{name}`"


# -- links, paths, long files ----------------------------------------------------------------------------------------


def slugs(page: Path) -> set[str]:
    found = set()
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for line in re.findall(r"^#+ (.+)$", text, re.M):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", line).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links() -> Iterator[str]:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for match in LINK.finditer(text):
            target, _, anchor = match["target"].partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = (page.parent / target).resolve() if target else page
            if not path.exists():
                yield f"{shown(page)}: the link `{match['target']}` leads nowhere"
            elif anchor and path.suffix == ".md" and anchor not in slugs(path):
                yield f"{shown(page)}: `{match['target']}` names no heading"


def paths() -> Iterator[str]:
    """Pages, tests and decision records that are named must exist."""
    records = {path.name[:4] for path in (DOCS / "adr").glob("[0-9]*.md")}
    files = [*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *PAGES]
    for path in files:
        if path.name == "CHANGELOG.md":
            continue
        text = path.read_text(encoding="utf-8")
        for number in sorted(set(re.findall(r"\bADR (\d{4})\b|docs/adr/(\d{4})", text))):
            wanted = number[0] or number[1]
            if wanted not in records:
                yield f"{shown(path)}: there is no decision record {wanted}"
        for name in sorted(set(re.findall(r"\bdocs/[a-z-]+/[a-z-]+\.md\b", text))):
            if not (ROOT / name).is_file() and not name.startswith("docs/evidence/"):
                yield f"{shown(path)}: `{name}` does not exist"
        if path.suffix == ".md":
            for name in sorted(set(re.findall(r"`((?:tests|src|examples|benchmarks|verifier|\.ci)/[\w./-]+)`", text))):
                if not (ROOT / name).exists():
                    yield f"{shown(path)}: `{name}` does not exist"


def long_files() -> Iterator[str]:
    record = next((DOCS / "adr").glob("0011-*.md"), None)
    listed = set(re.findall(r"`(src/carelink/[\w./]+\.py)`", record.read_text(encoding="utf-8"))) if record else set()
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONG:
            found.add(shown(path))
            if shown(path) not in listed:
                yield f"{shown(path)}: {lines} lines, more than {LONG}, and docs/adr/0011 does not say why"
    for name in sorted(listed - found):
        yield f"docs/adr/0011: `{name}` is no longer over {LONG} lines"


# -- blocks that run -------------------------------------------------------------------------------------------------


def script(body: str) -> str:
    lines = body.splitlines()
    if any(line.startswith("$ ") for line in lines):
        kept, more = [], False
        for line in lines:
            if line.startswith("$ ") or more:
                kept.append(line.removeprefix("$ "))
                more = line.endswith("\\")
        lines = kept
    return "\n".join(lines) + "\n"


def blocks() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="docs-") as place:
        tools = Path(place) / "bin"
        tools.mkdir()
        for name, arguments in (("carelink", "-m carelink.cli.main"), ("python", "")):
            shim = tools / name
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
            shim.chmod(0o755)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CARELINK_")}
        environment_ = {
            **kept,
            "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "120",
        }
        for number, page in enumerate(PAGES):
            text = page.read_text(encoding="utf-8")
            folder = Path(place) / f"page-{number}"
            for match in MARKED.finditer(text):
                folder.mkdir(exist_ok=True)
                line = text.count("\n", 0, match.start()) + 1
                mark, body = match["mark"].strip(), match["body"]
                if mark.startswith("file:"):
                    (folder / mark.removeprefix("file:").strip()).write_text(body, encoding="utf-8")
                    continue
                if (asked := re.fullmatch(r"run(?: exit=(\d+))?", mark)) is None:
                    continue
                wanted = int(asked[1] or 0)
                if match["language"] == "python":
                    arguments = [sys.executable, "-c", body]
                else:
                    arguments = ["bash", "-euo", "pipefail", "-c", script(body)]
                ran = subprocess.run(
                    arguments, cwd=folder, env=environment_, capture_output=True, text=True, timeout=300,
                    stdin=subprocess.DEVNULL, check=False,
                )  # fmt: skip
                if ran.returncode != wanted:
                    tail = "\n      ".join((ran.stdout + ran.stderr).strip().splitlines()[-12:])
                    yield f"{shown(page)}:{line}: the block ended with {ran.returncode}, not {wanted}\n      {tail}"


def complaints(arguments: argparse.Namespace) -> Iterator[str]:
    yield from generated(arguments.write)
    for check in (presence, commands, links, paths, long_files, *(() if arguments.no_run else (blocks,))):
        try:
            yield from check()
        except (ImportError, AttributeError, SyntaxError) as error:
            yield f"{check.__name__}: cannot be checked: {type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the documentation.")
    parser.add_argument("--write", action="store_true", help="renew the generated tables")
    parser.add_argument("--no-run", action="store_true", help="leave out the blocks that run")
    found = list(complaints(parser.parse_args()))
    for complaint in found:
        print(complaint)
    print(f"{len(PAGES)} pages, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
