"""Adoption of what decisions depend on: policy, plugins, mode, content. Each is an entry, under the exclusive lock."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.consent.pack import parse_pack
from carelink.consent.policy import Policy
from carelink.content.template import Template
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.errors import ConflictError, InvalidInputError, NotFoundError, PolicyError
from carelink.model.ids import is_ref
from carelink.model.moment import Instant
from carelink.ports.rows import TemplateRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ContentStatus, Mode

__all__ = ["Adoption", "PluginManifest"]


@attrs.frozen(kw_only=True)
class PluginManifest:
    """What the registry loaded: (plugin, version, digest, channels as (name, kind, local)), and a digest of all."""

    digest: str
    plugins: tuple[tuple[str, str, str, tuple[tuple[str, str, bool], ...]], ...]


@attrs.define
class Adoption:
    """Adopts, each time with an entry."""

    parts: Parts

    def policy(self, packs: Sequence[bytes], *, by: str, approvers: Sequence[str] = ()) -> Policy:
        """Adopt a set of packs.

        Raises:
            PolicyError: a pack is malformed, or a pack in force would be dropped or replaced without two approvers
                who are not the same person (P10).
        """
        policy = Policy.from_bytes(list(packs))
        parsed = [(parse_pack(data), data) for data in packs]
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            tenant = tx.tenant()
            if tenant.policy == policy.digest:
                return policy
            gone = set(tenant.packs) - {pack.digest for pack, _ in parsed}
            if gone and len(set(approvers)) < 2:  # noqa: PLR2004  DESIGN P10: two named approvers
                raise PolicyError(
                    "dropping or replacing a pack in force needs two named approvers",
                    hint="name two persons with --approver",
                )
            journal = Journal(self.parts)
            for pack, data in parsed:
                if tx.pack(pack.digest) is None:
                    tx.put_pack(pack.digest, data)
                    journal.pack(pack, data, now)
            digests = tuple(pack.digest for pack in policy.packs)
            tx.put_tenant(attrs.evolve(tenant, policy=policy.digest, packs=digests))
            journal.policy(policy.digest, digests, by, approvers, loosens=bool(gone), at=now)
            journal.write(tx)
        self.parts.publisher.tick()
        return policy

    def plugins(self, manifest: PluginManifest) -> bool:
        """Record the plugin set, if it is not the one recorded last. True when it was. Opening a home waits for no
        writer: only a set that changed takes the lock.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            if reader.tenant().plugins == manifest.digest:
                return False
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            tenant = tx.tenant()
            if tenant.plugins == manifest.digest:
                return False
            tx.put_tenant(attrs.evolve(tenant, plugins=manifest.digest))
            journal = Journal(self.parts)
            journal.plugins(manifest.digest, manifest.plugins, now)
            journal.write(tx)
        return True

    def mode(self, mode: Mode, *, by: str, checks: int) -> None:
        """Change how far the deployment may reach.

        Raises:
            ConflictError: a store that was made for synthetic data can never go live.
            InvalidInputError: no actor is named.
        """
        _named(by)
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            tenant = tx.tenant()
            if tenant.synthetic and mode is not Mode.SANDBOX:
                raise ConflictError("a store made for synthetic data stays in sandbox", hint="run `carelink init`")
            if tenant.mode is mode:
                return
            tx.put_tenant(attrs.evolve(tenant, mode=mode))
            journal = Journal(self.parts)
            journal.mode(mode, by, checks, now)
            journal.write(tx)
        self.parts.publisher.tick()

    def exported(self, *, by: str, readme: str) -> None:
        """Record that everything integrated so far leaves in an export, with a README of this digest."""
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            journal = Journal(self.parts)
            journal.export(0, tx.head().size, by, readme, now)
            journal.write(tx)

    def witnessed(self, *, name: str, size: int, digest: str) -> None:
        """Record that a witness cosigned the log at a size; `digest` is SHA-256 of the note it signed."""
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            journal = Journal(self.parts)
            journal.witness(name, size, digest, now)
            journal.write(tx)

    def allow(self, tokens: Sequence[bytes], *, listed: bool) -> None:
        """Put addresses on the team's allow-list, or take them off."""
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            tx.put_allow_listed(tokens, listed=listed)

    # -- content ---------------------------------------------------------------------------------------------

    def register(self, template: Template, *, by: str, since: Instant | None, until: Instant | None) -> TemplateRow:
        """Register a template version as a draft. Registering the same version with the same text changes nothing.

        Raises:
            ConflictError: the version exists with another text.
        """
        now, _ = self.parts.guard.read()
        row = TemplateRow(
            name=template.name,
            version=template.version,
            status=ContentStatus.DRAFT,
            purposes=template.scope.purposes,
            channels=template.scope.channels,
            language=template.language,
            subject=template.subject,
            body=template.body,
            variables=template.variables,
            digest=template.digest,
            since=now if since is None else since,
            until=until,
        )
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            known = tx.templates([(row.name, row.version)]).get((row.name, row.version))
            if known is not None:
                if known.digest != row.digest:
                    raise ConflictError("this template version exists with another text", hint="use the next version")
                return known
            tx.put_template(row)
            journal = Journal(self.parts)
            journal.content("registered", row, by, now)
            journal.write(tx)
        return row

    def approve(self, name: str, version: int, *, by: str) -> TemplateRow:
        """Add one approval; the same approver counts once.

        Raises:
            NotFoundError: no such version.
            ConflictError: it was withdrawn.
        """
        _named(by)
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            row = self._template(tx, name, version)
            if row.status is ContentStatus.WITHDRAWN:
                raise ConflictError("a withdrawn template version cannot be approved", hint="register a new version")
            if by in row.approvers:
                return row
            row = attrs.evolve(row, status=ContentStatus.APPROVED, approvers=(*row.approvers, by))
            tx.put_template(row)
            journal = Journal(self.parts)
            journal.content("approved", row, by, now)
            journal.write(tx)
        return row

    def retract(self, name: str, version: int, *, by: str) -> TemplateRow:
        """Withdraw a template version for good.

        Raises:
            NotFoundError: no such version.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            row = attrs.evolve(self._template(tx, name, version), status=ContentStatus.WITHDRAWN)
            tx.put_template(row)
            journal = Journal(self.parts)
            journal.content("withdrawn", row, by, now)
            journal.write(tx)
        return row

    def _template(self, tx: Transaction, name: str, version: int) -> TemplateRow:
        row = tx.templates([(name, version)]).get((name, version))
        if row is None:
            raise NotFoundError("no such template version is registered")
        return row


def _named(actor: str) -> None:
    if not is_ref(actor):
        raise InvalidInputError("this change needs a named actor", hint="name one with --actor")
