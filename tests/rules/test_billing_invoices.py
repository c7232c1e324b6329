"""Invoices and credit notes: each line once, numbers without a gap, and nothing on them ever changed."""

import pytest
from innkeeper.actors.billing.rules.invoicing import totals
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, ReverseCharge
from innkeeper.protocol.billing.folio import DocumentKind, Invoice, TaxTotal
from innkeeper.protocol.billing.queries import ListInvoices, ShowInvoice
from innkeeper.protocol.billing.replies import InvoicesReply
from innkeeper.protocol.billing.terms import BillingPlan, ChargeKind, Party, PartyPlan
from innkeeper.protocol.reservations import commands
from support.billing_fixture import CITY, VAT, VAT_FOOD, LedgerFixture
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL, TODAY, night

GLOBEX = PartyPlan("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def books() -> LedgerFixture:
    return LedgerFixture(VAT, VAT_FOOD, CITY)


def check(invoice: Invoice) -> None:
    """What an invoice says adds up."""
    assert invoice.total == sum(line.amount for line in invoice.lines) == sum(tax.gross for tax in invoice.totals)
    assert invoice.net == sum(line.net for line in invoice.lines) == sum(tax.net for tax in invoice.totals)
    assert sum(tax.tax for tax in invoice.totals) == sum(line.tax for line in invoice.lines)


def test_an_invoice_says_who_sells_who_buys_and_what(books: LedgerFixture) -> None:
    booking = books.stay(0, 1, guest="Ann", adults=2)
    books.charge(booking, 1_130, charge=ChargeKind.BREAKFAST, text="Breakfast")
    books.charge(booking, 500, charge=ChargeKind.OTHER, text="Umbrella")
    books.roll()
    invoice = books.invoice(booking)
    assert (invoice.number, invoice.kind, invoice.business_date) == ("INV-1", DocumentKind.INVOICE, night(1))
    assert (invoice.issued_at, invoice.currency) == (books.at, "EUR")
    assert (invoice.seller.name, invoice.seller.tax_number, invoice.buyer) == ("Seaside Ltd", "PT500", Party("Ann"))
    assert [line.text for line in invoice.lines] == ["Breakfast", "Umbrella", "Room"]
    assert invoice.totals == (
        TaxTotal("", "", 0, 500, 0, 500),
        TaxTotal("CITY", "City tax", 0, 0, 400, 400),
        TaxTotal("VAT13", "VAT 13 %", 1_300, 1_000, 130, 1_130),
        TaxTotal("VAT6", "VAT 6 %", 600, 9_434, 566, 10_000),
    )
    assert (invoice.net, invoice.total) == (10_934, 12_030)
    check(invoice)


def test_a_company_may_stand_on_it_for_once(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking)
    assert books.invoice(booking, buyer=GLOBEX).buyer == GLOBEX.party()
    books.charge(booking)
    assert books.invoice(booking).buyer == Party("Ann")


def test_each_folio_has_invoices_of_its_own(books: LedgerFixture) -> None:
    booking = books.stay()
    mine, theirs = books.charge(booking, 100), books.charge(booking, 200)
    books.enter(OpenFolio(HOTEL, booking, GLOBEX))
    books.enter(MoveCharges(HOTEL, booking, (theirs.id,), 2))
    first, second = books.invoice(booking), books.invoice(booking, 2)
    assert ([line.id for line in first.lines], first.total) == ([mine.id], 100)
    assert (second.total, second.buyer, second.number) == (200, GLOBEX.party(), "INV-2")


def test_a_line_stands_on_one_invoice(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking, 100)
    books.invoice(booking)
    with refused(books, "folio 1 has no lines to invoice"):
        books.invoice(booking)
    books.charge(booking, 200)
    assert books.invoice(booking).total == 200
    assert [line.invoice for line in books.bill(booking).folios[0].lines] == ["INV-1", "INV-2"]


def test_what_was_taken_back_before_nobody_is_told_of(books: LedgerFixture) -> None:
    booking = books.stay()
    wrong = books.charge(booking, 100)
    books.pay(booking, 50)
    books.enter(ReverseCharge(HOTEL, booking, wrong.id, "wrong"))
    with refused(books, "folio 1 has no lines"):
        books.invoice(booking)
    with refused(books, "folio"):
        books.invoice(booking, 2)
    books.charge(booking, 200)
    assert [line.amount for line in books.invoice(booking).lines] == [200]


def test_a_gift_is_invoiced_at_nothing(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking, 0)
    gift = books.invoice(booking)
    assert (gift.kind, gift.total) == (DocumentKind.INVOICE, 0)


def test_a_credit_note_takes_a_whole_invoice_back(books: LedgerFixture) -> None:
    booking = books.stay(0, 1)
    books.roll()
    books.charge(booking, 100)
    invoice = books.invoice(booking, buyer=GLOBEX)
    note = books.credit(invoice.number)
    assert (note.number, note.kind, note.credits, note.reason) == (
        "CN-1", DocumentKind.CREDIT_NOTE, "INV-1", "wrong name",
    )  # fmt: skip
    assert [line.amount for line in note.lines] == [-line.amount for line in invoice.lines]
    assert (note.total, note.buyer) == (-invoice.total, GLOBEX.party())
    check(note)
    assert books.bill(booking).balance == 0
    assert books.ask(ShowInvoice(HOTEL, "INV-1")).invoice.credited_by == "CN-1"


def test_an_invoice_is_credited_once_and_a_credit_note_never(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking, 100)
    books.invoice(booking)
    books.credit("INV-1")
    with refused(books, "INV-1 is already credited by CN-1"):
        books.credit("INV-1")
    with refused(books, "CN-1 is a credit note; only invoices"):
        books.credit("CN-1")
    with refused(books, "invoice"):
        books.credit("INV-9")
    with refused(books, "invoice"):
        books.ask(ShowInvoice(HOTEL, "INV-9"))


def test_after_a_credit_note_what_is_right_is_charged_and_invoiced_anew(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking, 100)
    books.invoice(booking)
    books.credit("INV-1")
    books.charge(booking, 90)
    assert (books.invoice(booking).number, books.bill(booking).balance) == ("INV-2", 90)


def test_a_correction_that_waits_goes_with_the_credit_note(books: LedgerFixture) -> None:
    booking = books.book(0, 2)
    books.charge(booking, 300)
    books.say(commands.Cancel(HOTEL, booking))
    books.invoice(booking)
    books.say(commands.Reinstate(HOTEL, booking))
    note = books.credit("INV-1")
    assert sorted(line.amount for line in note.lines) == [-10_000, -300]
    assert books.bill(booking).balance == 0


def test_a_correction_that_was_invoiced_is_not_credited_again(books: LedgerFixture) -> None:
    booking = books.book(0, 2)
    books.say(commands.Cancel(HOTEL, booking))
    books.invoice(booking)
    books.say(commands.Reinstate(HOTEL, booking))
    books.charge(booking, 12_000)
    second = books.invoice(booking)
    assert (second.kind, sorted(line.amount for line in second.lines)) == (DocumentKind.INVOICE, [-10_000, 12_000])
    check(second)
    with refused(books, "are corrected already"):
        books.credit("INV-1")
    assert books.credit("INV-2").total == -12_000
    documents = books.ask(ListInvoices(HOTEL)).invoices
    assert sum(document.total for document in documents) == books.bill(booking).charged == 0


def test_numbers_follow_each_other_whatever_was_refused(books: LedgerFixture) -> None:
    for number in (1, 2, 3):
        booking = books.stay(0, 1) if number < 4 else ""
        with refused(books, "folio 1 has no lines"):
            books.invoice(booking)
        books.charge(booking, 100)
        assert books.invoice(booking).number == f"INV-{number}"
        books.say(commands.CheckOut(HOTEL, booking))
    assert [books.credit(f"INV-{number}").number for number in (3, 1)] == ["CN-1", "CN-2"]


def test_a_new_prefix_goes_on_counting(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking)
    books.invoice(booking)
    books.agree(invoice_prefix="2027/", credit_note_prefix="2027/C")
    books.charge(booking)
    assert books.invoice(booking).number == "2027/2"
    assert books.credit("INV-1").number == "2027/C1"


def test_no_number_can_be_given_twice(books: LedgerFixture) -> None:
    booking = books.stay()
    books.charge(booking)
    books.invoice(booking)
    with refused(books, "credit_note_prefix:unique"):
        BillingPlan(seller=GLOBEX, invoice_prefix="A-", credit_note_prefix="A-")
    with refused(books, "credit_note_prefix:taken"):
        books.agree(invoice_prefix="X-", credit_note_prefix="INV-")


def test_documents_are_listed_in_the_order_of_their_issue(books: LedgerFixture) -> None:
    mine, yours = books.stay(), books.stay()
    for booking in (mine, yours, mine):
        books.charge(booking, 100)
        books.invoice(booking)

    def listed(**more: object) -> tuple[list[str], int]:
        reply = books.ask(ListInvoices(HOTEL, **more))  # type: ignore[arg-type]
        assert isinstance(reply, InvoicesReply)
        return [invoice.number for invoice in reply.invoices], reply.number

    assert listed() == (["INV-1", "INV-2", "INV-3"], 3)
    assert listed(booking=mine) == (["INV-1", "INV-3"], 2)
    assert listed(skip=1, limit=1) == (["INV-2"], 3)


def test_a_line_under_two_rates_stands_with_its_net_under_both() -> None:
    books = LedgerFixture()
    taxes = tuple(
        VAT.__class__(code=code, name=code, applies_to=(ChargeKind.OTHER,), rate=rate)
        for code, rate in (("STATE", "6"), ("COUNTY", "2"))
    )
    books.agree(*taxes)
    booking = books.stay()
    line = books.charge(booking, 1_000)
    assert totals((line,), ()) == (
        TaxTotal("COUNTY", "COUNTY", 200, 1_000, 20, 1_020),
        TaxTotal("STATE", "STATE", 600, 1_000, 60, 1_060),
    )
    invoice = books.invoice(booking)
    assert (invoice.net, invoice.total, invoice.business_date) == (1_000, 1_080, TODAY)
