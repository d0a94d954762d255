"""`carelink keys status|rotate|retire|check|drill`: what keys there are, renewing them, and proving that they open."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path

from carelink import settings
from carelink.app import CareLink
from carelink.cli.common import console, error_console, open_link, progress, table
from carelink.cli.exit_codes import Exit
from carelink.engine.rotation import Drill, Steps
from carelink.engine.safe import Safe
from carelink.errors import InvalidInputError
from carelink.home import KEY_STORE, key_providers
from carelink.keys.drill import opened_copy
from carelink.keys.provider import KeyProvider
from carelink.keys.store import KeyStore
from carelink.vault.suites import SUITES, suite_named

__all__ = ["add"]

_WHAT = ("root", "epoch", "data", "index")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("keys", help="keys: what there is, rotation, checks, drills")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status", help="keys, and how much is under each").set_defaults(run=_status)
    turn = verbs.add_parser(
        "rotate", help="new keys, while everything goes on; run again to go on after an interruption"
    )
    turn.add_argument("what", choices=_WHAT, help="root key, epoch key, data keys of patients, key of the index")
    turn.add_argument("--suite", choices=[suite.name for suite in SUITES.values()],
                      help="with `data`: cipher suite of the new keys")  # fmt: skip
    turn.add_argument("--to", metavar="PROVIDER",
                      help="with `root`: move to another key provider that the settings name")  # fmt: skip
    turn.add_argument("--lazy", action="store_true", help="with `data`: seal fields again only when they are written")
    turn.set_defaults(run=_rotate)
    verbs.add_parser("retire", help="destroy older data keys that nothing is sealed under").set_defaults(run=_retire)
    verbs.add_parser("check", help="open every wrapped key and every sealed field").set_defaults(run=_check)
    drill = verbs.add_parser("drill", help="prove that a backup of the key folder opens today's data")
    drill.add_argument("backup", type=Path, help="folder with what the key folder held; it is not written to")
    drill.add_argument("--sample", type=int, default=200, metavar="N", help="fields to open (default 200)")
    drill.set_defaults(run=_drill)


def _total(link: CareLink) -> int:
    with link.wiring.store.reader() as reader:
        return sum(reader.sealed_headers().values())


def _holder(version: str) -> str:
    """The provider that a root's version names."""
    return version.rpartition(":")[0] or settings.KEY_FOLDER


def _short(version: str) -> str:
    """A root's version: eight characters of it, behind the name of its provider."""
    provider, colon, rest = version.rpartition(":")
    return f"{provider}{colon}{rest[:8]}"


def _status(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        state = link.rotation.state()
    counts = state.counts
    rows = [("root", _short(version), "", "") for version in counts.roots]
    rows += [("epoch", str(epoch), f"{keys} keys", "") for epoch, keys in counts.epochs.items()]
    rows += [("data", suite, f"{keys} keys", "") for suite, keys in counts.suites.items()]
    rows += [("data", "older", f"{counts.retired} keys", f"{state.older} fields")]
    rows += [("data", "newest", f"generation {counts.generation}", f"{state.newest} fields")]
    rows += [("data", "unknown", "", f"{state.unknown} fields")] if state.unknown else []
    rows += [
        (name, str(version), standing, f"{state.index.get(version, 0)} values" if name == "index" else "")
        for name, versions in counts.secrets.items()
        for version, standing in versions
    ]
    table("keys", ("key", "version", "holds", "under it"), rows)
    console.print(f"new data keys: {counts.suite}   erased persons: {counts.tombstones}", markup=False)
    chosen = link.wiring.settings.key_provider
    if others := sorted({_holder(version) for version in counts.roots} - {chosen}):
        console.print(
            f"Some epoch keys are wrapped by {', '.join(others)} and not by {chosen}: run `carelink keys rotate root`.",
            markup=False,
        )
    if counts.renewing:
        console.print("A rotation of data keys is under way: run `carelink keys rotate data` to go on.")
    if state.unknown:
        console.print("Some fields are under keys that are not in the key store: run `carelink keys check`.")
    return Exit.OK


def _rotate(args: argparse.Namespace) -> int:
    if args.what != "data" and (args.suite or args.lazy):
        raise InvalidInputError("--suite and --lazy belong to `keys rotate data`")
    if args.what != "root" and args.to:
        raise InvalidInputError("--to belongs to `keys rotate root`")
    with open_link(args) as link, progress(args.what, lambda: _total(link)) as bar:
        _rotated(args, link, lambda done: bar.advance(bar.task_ids[0], done))
    return Exit.OK


def _rotated(args: argparse.Namespace, link: CareLink, steps: Steps) -> None:
    rotation = link.rotation
    if args.to:
        _moved(args.to, link)
    elif args.what == "root":
        console.print(f"root key rotated, {rotation.root()} destroyed", markup=False)
    elif args.what == "epoch":
        console.print(f"epoch rotated, {rotation.epoch(steps)} keys wrapped again", markup=False)
    elif args.what == "index":
        console.print(f"index rotated, {rotation.index(steps)} patients indexed again", markup=False)
    else:
        suite = None if args.suite is None else suite_named(args.suite)
        sealed = rotation.data(suite=suite, lazy=args.lazy, steps=steps)
        console.print(f"data keys rotated, {sealed} fields sealed again", markup=False)
        if args.lazy:
            console.print(
                "Fields stay under the older keys until they are written, or until a rotation without --lazy."
            )
        else:
            console.print("The older keys are kept. `carelink keys retire` destroys those that nothing is under.")


def _moved(to: str, link: CareLink) -> None:
    moved = link.rotation.move_root(to)
    console.print(f"{moved} epoch keys wrapped by {to}; none is another provider's", markup=False)
    if to != (now := link.wiring.settings.key_provider):
        console.print(f'Now set `provider = "{to}"` under `[keys]`: new epochs still go to {now}.', markup=False)
    console.print(
        "The root key before still opens backups of the key store from before. Remove it when these are gone."
    )


def _retire(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        console.print(f"{link.rotation.retire()} older data keys destroyed", markup=False)
    return Exit.OK


def _check(args: argparse.Namespace) -> int:
    with open_link(args) as link, progress("check", lambda: _total(link)) as bar:
        found = link.rotation.check(lambda done: bar.advance(bar.task_ids[0], done))
        problems = [*link.wiring.keys.check().problems]
    console.print(f"{found.keys} data keys, {found.wrapped} of them do not open", markup=False)
    console.print(f"{found.fields} sealed fields", markup=False)
    for count, what in (
        (found.erased, "left of erased persons, and nobody can open them"),
        (found.missing, "under a key that is not in the key store"),
        (found.damaged, "damaged, or moved from where they were sealed"),
    ):
        if count:
            console.print(f"  {count} {what}", markup=False)
    for problem in problems:
        error_console.print(f"carelink: {problem}", markup=False)
    if found.damaged or found.wrapped:
        return Exit.TAMPERED
    return Exit.COULD_NOT_RUN if found.missing or problems else Exit.OK


def _backup(args: argparse.Namespace, link: CareLink) -> AbstractContextManager[KeyStore]:
    chosen = link.wiring.settings

    def provider(folder: Path) -> KeyProvider:
        return key_providers(chosen, passphrase=settings.passphrase(), folder=folder)

    return opened_copy(args.backup, KEY_STORE, provider, root=chosen.key_provider == settings.KEY_FOLDER)


def _drill(args: argparse.Namespace) -> int:
    with open_link(args) as link, _backup(args, link) as copy:
        if copy.tenant != link.wiring.keys.tenant:
            raise InvalidInputError("this is the key folder of another home")
        done: Drill = link.rotation.drill(Safe(copy, copy.tenant), args.sample)
    console.print(f"{done.opened} of {done.tried} fields open with the backup", markup=False)
    if done.newer:
        console.print(f"{done.newer} are under keys made since the backup", markup=False)
    if not done.passed:
        console.print("This backup does not open today's data. Make a new one of the whole key folder.")
    return Exit.OK if done.passed else Exit.COULD_NOT_RUN
