"""Adoption of what decisions depend on: policy, plugins, mode, content. Each is an entry, under the exclusive lock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import attrs

from carelink.audit.kinds import ContentAction
from carelink.consent.pack import parse_pack
from carelink.consent.policy import Policy
from carelink.content.review import Review, life
from carelink.content.template import Template
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PolicyError,
    SelfApprovalError,
)
from carelink.model.ids import is_ref
from carelink.model.moment import Instant
from carelink.ports.rows import TemplateRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ContentStatus, Mode, ProviderState, ReviewRole

__all__ = ["Adoption", "PluginManifest"]

_CHANNEL: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_PROVIDER_ID: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}", re.ASCII)
_MAX_QUORUM: Final = 20
_MAX_NUMBER: Final = 100


@attrs.frozen(kw_only=True)
class PluginManifest:
    """What the registry loaded: (plugin, version, digest, channels as (name, kind, local, region and end of the
    agreement of the provider)), and a digest of all.
    """

    digest: str
    plugins: tuple[tuple[str, str, str, tuple[tuple[str, str, bool, str, Instant | None], ...]], ...]

    @classmethod
    def of(
        cls,
        digest: str,
        plugins: Iterable[tuple[str, str, str, Iterable[tuple[str, str, bool]]]],
        processors: Mapping[str, tuple[str, Instant | None]],
    ) -> PluginManifest:
        """What was loaded under this digest, and what the settings say of the channels' providers: another set of those
        is another manifest.
        """
        told = tuple(
            (
                name,
                version,
                found,
                tuple((each, kind, local, *processors.get(each, ("", None))) for each, kind, local in channels),
            )
            for name, version, found, channels in plugins
        )
        said = sorted(
            (channel[0], *channel[3:]) for plugin in told for channel in plugin[3] if channel[0] in processors
        )
        whole = sha256(json.dumps([digest, said]).encode()).hexdigest() if said else digest
        return cls(digest=whole, plugins=told)


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

    def register(
        self, template: Template, *, by: str, since: Instant | None, until: Instant | None, quorum: int = 1
    ) -> TemplateRow:
        """Register a template version, and screen its own texts where word lists can be had: it is a draft without.
        Registering the same version with the same text changes nothing.

        Args:
            template: the form to review.
            by: pseudonym of the author, who cannot approve it.
            since, until: its validity.
            quorum: how many distinct approvers make it approved.

        Raises:
            ConflictError: the version exists with another text.
            InvalidInputError: the quorum is none.
        """
        if not 1 <= quorum <= _MAX_QUORUM:
            raise InvalidInputError(f"a quorum is 1 to {_MAX_QUORUM}")
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
            details=template.details,
            data=template.data,
            author=by,
            quorum=quorum,
        )
        screened = self.parts.screener.template(template)
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            known = tx.templates([(row.name, row.version)]).get((row.name, row.version))
            if known is not None:
                if known.digest != row.digest or known.quorum != row.quorum:
                    raise ConflictError(
                        "this template version exists with another text or quorum", hint="use the next version"
                    )
                return known
            journal = Journal(self.parts)
            journal.content(ContentAction.REGISTERED, row, by, now)
            if screened is not None:
                lists, findings = screened
                row = attrs.evolve(row, screened=lists, status=ContentStatus.SCREENED)
                journal.content(ContentAction.SCREENED, row, by, now, findings=findings)
            tx.put_template(row)
            journal.write(tx)
        return row

    def approve(self, name: str, version: int, *, by: str, role: ReviewRole = ReviewRole.CLINICAL) -> TemplateRow:
        """Add one approval; the same approver counts once. Whether it counts as one of a role is decided at each
        decision, by the approver's credential at that instant.

        Raises:
            NotFoundError: no such version.
            SelfApprovalError: the author approves; the attempt is recorded.
            ConflictError: it was withdrawn, or this person approved it in another role.
        """
        _named(by)
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            row = self._template(tx, name, version)
            if row.status is ContentStatus.WITHDRAWN:
                raise ConflictError("a withdrawn template version cannot be approved", hint="register a new version")
            own = by == row.author
            earlier = next((review for review in row.reviews if review.startswith(f"{by}:")), "")
            if earlier:
                if earlier.split(":")[1] != role.value:
                    raise ConflictError("this person approved it in another role: one person approves in one role")
                return row
            journal = Journal(self.parts)
            if own:
                journal.content(ContentAction.APPROVAL_REFUSED, row, by, now, role=role)
            else:
                row = _after(row, reviews=(*row.reviews, Review(by, role, now).word()))
                tx.put_template(row)
                journal.content(ContentAction.APPROVED, row, by, now, role=role)
            journal.write(tx)
        if own:
            raise SelfApprovalError("the author of a text cannot approve it")
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
            journal.content(ContentAction.WITHDRAWN, row, by, now)
            journal.write(tx)
        return row

    def number(self, name: str, version: int, *, number: str, until: Instant | None, by: str) -> TemplateRow:
        """Record the regulator's approval number of a version and the end of its validity; "" takes it away.

        Raises:
            NotFoundError: no such version.
            InvalidInputError: the number is too long, or stands without the end of its validity.
        """
        _named(by)
        if (
            len(number) > _MAX_NUMBER
            or not all(map(str.isprintable, number))
            or bool(number) is not (until is not None)
        ):
            raise InvalidInputError(f"an approval number has at most {_MAX_NUMBER} characters, and an end of validity")
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            row = attrs.evolve(self._template(tx, name, version), number=number, number_until=until)
            tx.put_template(row)
            journal = Journal(self.parts)
            journal.content(ContentAction.NUMBERED, row, by, now)
            journal.write(tx)
        return row

    def provider(
        self, name: str, version: int, *, channel: str, state: ProviderState, provider_id: str, by: str
    ) -> TemplateRow:
        """Record where a version stands with the provider of one channel, and its id there.

        Raises:
            NotFoundError: no such version.
            InvalidInputError: the channel or the id is malformed.
        """
        _named(by)
        if _CHANNEL.fullmatch(channel) is None or _PROVIDER_ID.fullmatch(provider_id) is None:
            raise InvalidInputError("a provider's template id is `[A-Za-z0-9_.-]`, at most 64, of one channel")
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            row = self._template(tx, name, version)
            kept = [each for each in row.providers if each.partition(":")[0] != channel]
            row = attrs.evolve(row, providers=tuple(sorted((*kept, f"{channel}:{state.value}:{provider_id}"))))
            tx.put_template(row)
            journal = Journal(self.parts)
            journal.content(ContentAction.PROVIDER, row, by, now, provider=(channel, state))
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


def _after(row: TemplateRow, *, reviews: tuple[str, ...]) -> TemplateRow:
    """The row with these approvals, and the status they give it."""
    row = attrs.evolve(row, reviews=reviews)
    status = life(withdrawn=False, approvals=len(row.approvers), quorum=row.quorum, screened=bool(row.screened))
    return attrs.evolve(row, status=status)
