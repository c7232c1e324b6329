"""How a ledger says no: with a refusal, and with nothing changed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from innkeeper.actors.billing.rules.state import describe
from innkeeper.protocol.messages.refusals import Invalid, NotAllowed, NotFound, Refused
from support.billing_fixture import LedgerFixture


@contextmanager
def refused(books: LedgerFixture, what: str) -> Iterator[None]:
    """What is done here is refused, and changes nothing. `what` is the broken rule of a field (`amount:positive`), what
    was not found (`line`), or a part of the reason why it is not allowed."""
    before, records = describe(books.ledger), len(books.records)
    with pytest.raises(Refused) as told:
        yield
    assert (describe(books.ledger), len(books.records)) == (before, records)
    match told.value.refusal:
        case Invalid(errors):
            assert what in [f"{error.field}:{error.rule}" for error in errors]
        case NotFound(kind, _):
            assert what == kind
        case NotAllowed(_, reason, _):
            assert what in reason
