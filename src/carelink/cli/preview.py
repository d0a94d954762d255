"""`carelink preview`: a table of effects and reasons; records nothing."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence

from carelink.app import CareLink
from carelink.cli.common import console, is_chinese, open_link, shown_instant, table
from carelink.cli.exit_codes import Exit
from carelink.cli.requests import add_selection, select
from carelink.consent.reasons import ReasonCode
from carelink.consent.sentences import sentence
from carelink.engine.outcome import Forecast
from carelink.vocabulary import Effect

__all__ = ["add", "print_forecasts", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("preview", help="what would be sent, and why not; records nothing")
    add_selection(parser)
    parser.set_defaults(run=run)


def print_forecasts(forecasts: Sequence[Forecast], *, chinese: bool, zone: str) -> None:
    """Effects, then reasons with how many requests each stands in and the earliest instant it would pass."""
    effects = Counter(item.effect.value for item in forecasts)
    table("Preview: nothing was reserved, recorded or sent", ("effect", "requests"),
          [(effect.value, str(effects.get(effect.value, 0))) for effect in Effect])  # fmt: skip
    reasons: Counter[ReasonCode] = Counter()
    soonest: dict[ReasonCode, list[int]] = defaultdict(list)
    for item in forecasts:
        if item.decision is None:
            continue
        for verdict in item.decision.reasons:
            if verdict.reason is not None:
                reasons[verdict.reason] += 1
                if verdict.earliest is not None:
                    soonest[verdict.reason].append(verdict.earliest)
    if reasons:
        console.print()
        table("Reasons (a request may have several)", ("reason", "requests", "would pass from", "meaning"),
              [(code.value, str(count), shown_instant(min(soonest[code], default=None), zone),
                sentence(code, "zh" if chinese else "en"))
               for code, count in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0].rank))])  # fmt: skip
    errors = Counter(item.error.code for item in forecasts if item.error is not None)
    for code, count in errors.items():
        console.print(f"not decided: {count} x {code}", markup=False)
    no_consent_hint(effects, reasons, len(forecasts))


def no_consent_hint(effects: Counter[str], reasons: Counter[ReasonCode], total: int) -> None:
    """Where nothing could be permitted for want of consent, name the command that loads it."""
    if total and not effects.get(Effect.PERMIT.value) and reasons.get(ReasonCode.NO_CONSENT):
        console.print("\nNo consent is on record for these patients, so nothing can be sent.")
        console.print("Load it with its evidence: carelink consent import --csv FILE (or: consent grant)")


def forecast_requests(link: CareLink, args: argparse.Namespace) -> list[Forecast]:
    """Forecast a selection, page by page."""
    forecasts: list[Forecast] = []
    batch = []
    for request in select(link, args):
        batch.append(request)
        if len(batch) == link.parts.options.chunk:
            forecasts.extend(link.preview_many(batch))
            batch = []
    return forecasts + (link.preview_many(batch) if batch else [])


def run(args: argparse.Namespace) -> int:
    """Forecast and print."""
    with open_link(args) as link:
        forecasts = forecast_requests(link, args)
        with link.wiring.store.reader() as reader:
            zone = reader.tenant().zone
    print_forecasts(forecasts, chinese=is_chinese(args), zone=zone)
    return Exit.OK
