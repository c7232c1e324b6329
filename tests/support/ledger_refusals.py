"""Checks that the ledger refuses a command and changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from innkeeper.actors.billing.rules.snapshot import describe
from innkeeper.protocol.messages.refusals import ActionNotAllowed, InvalidRequest, NotFound, Refused
from support.billing_fixture import LedgerFixture


@contextmanager
def refused(ledger: LedgerFixture, problem: str) -> Iterator[None]:
    """Expect a refusal in this block, and an unchanged ledger. `problem` is the broken rule of a field
    (`amount:positive`), the kind that was not found (`line`), or part of the reason why it is not allowed."""
    before, records = describe(ledger.state), len(ledger.records)
    with pytest.raises(Refused) as error:
        yield
    assert (describe(ledger.state), len(ledger.records)) == (before, records)
    match error.value.refusal:
        case InvalidRequest(errors):
            assert problem in [f"{one.field}:{one.rule}" for one in errors]
        case NotFound(kind, _):
            assert problem == kind
        case ActionNotAllowed(_, reason, _):
            assert problem in reason
