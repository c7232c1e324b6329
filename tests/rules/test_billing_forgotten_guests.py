"""What is billed after the guest is forgotten: no details of a buyer are kept that could not be erased any more."""

import pytest
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.protocol.billing.commands import OpenFolio
from innkeeper.protocol.billing.terms import Party, PartyRequest
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.values.guests import StoredGuest
from support.billing_fixture import LedgerFixture
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL

GLOBEX = PartyRequest("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture()


def forget(ledger: LedgerFixture, booking: str) -> None:
    guest = ledger.hotel_state.bookings[booking].guest
    known = StoredGuest(HOTEL, guest, b"salt")
    envelope = Envelope(commands.ForgetGuest(HOTEL, guest.id), at=ledger.at, id="forget", guest=known)
    ledger.record_hotel_events(tuple(record.event for record in decide(ledger.hotel_state, envelope).records))


def ended_stay(ledger: LedgerFixture) -> str:
    booking = ledger.book_and_check_in(0, 1)
    ledger.roll_business_date()
    ledger.check_out(booking)
    return booking


def test_no_folio_is_opened_for_a_buyer_after_the_guest_is_forgotten(ledger: LedgerFixture) -> None:
    booking = ended_stay(ledger)
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    forget(ledger, booking)
    assert [folio.buyer.details for folio in ledger.bill(booking).folios] == [None, None]
    with refused(ledger, "buyer:forgotten"):
        ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    assert len(ledger.bill(booking).folios) == 2


def test_the_buyer_of_an_invoice_is_given_with_it_and_kept_with_the_document_alone(ledger: LedgerFixture) -> None:
    booking = ended_stay(ledger)
    forget(ledger, booking)
    with refused(ledger, "buyer:forgotten"):
        ledger.issue_invoice(booking)
    assert ledger.issue_invoice(booking, buyer=GLOBEX).buyer == Party("Globex", ("1 Main Street",), "PT123")
    assert ledger.bill(booking).folios[0].buyer.details is None
