"""The numbers of documents: gapless in each series, and never the same twice.

Directive 2006/112/EC (article 226, point 2) demands a sequential number, based on one or more series. There is a series
of invoices (with the deposit invoices) and one of credit notes; where a prefix has the year, one of each year.
"""

import re
from typing import NamedTuple

from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.folio import DocumentKind
from innkeeper.protocol.billing.terms import BillingTerms
from innkeeper.protocol.messages.refusals import invalid

_YEAR = "{year}"
_SERIES_KINDS = (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE)


class DocumentNumber(NamedTuple):
    """The number of a document, and its series: the year where the numbers begin anew each year, else 0."""

    number: str
    series: int


def next_number(state: LedgerState, kind: DocumentKind, issued_before: int = 0) -> DocumentNumber:
    """The next number of a kind, after those that the same decision has issued before."""
    ledger = state.opened()
    prefix = ledger.terms.credit_note_prefix if kind is DocumentKind.CREDIT_NOTE else ledger.terms.invoice_prefix
    series = ledger.business_date.year if _YEAR in prefix else 0
    number = state.issued.get((kind, series), 0) + issued_before + 1
    return DocumentNumber(f"{prefix.replace(_YEAR, str(series))}{number}", series)


def check_prefixes(state: LedgerState, terms: BillingTerms) -> None:
    """Refuses prefixes with which a number could be issued twice: those of the two kinds must differ in every year, and
    neither can be one that another series has used."""
    prefixes = dict(zip(_SERIES_KINDS, (terms.invoice_prefix, terms.credit_note_prefix), strict=True))
    if _can_be(terms.invoice_prefix, terms.credit_note_prefix) or _can_be(
        terms.credit_note_prefix, terms.invoice_prefix
    ):
        raise invalid("credit_note_prefix", "unique", "must differ from invoice_prefix, in every year")
    for kind, prefix in prefixes.items():
        for used, used_kind, series in state.prefixes():
            mine = used_kind is kind and (series != 0) == (_YEAR in prefix)
            if not mine and _can_be(prefix, used):
                field = "credit_note_prefix" if kind is DocumentKind.CREDIT_NOTE else "invoice_prefix"
                raise invalid(field, "taken", f"other documents were issued with the prefix {used}")


def _can_be(prefix: str, text: str) -> bool:
    """Whether a prefix is this text in some year."""
    return re.fullmatch(re.escape(prefix).replace(re.escape(_YEAR), "([0-9]{4}|[{]year[}])"), text) is not None
