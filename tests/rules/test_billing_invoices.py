"""Invoices and credit notes: each line is on one of them, numbers have no gaps, and documents never change."""

import pytest
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, PostDiscount, ReverseCharge
from innkeeper.protocol.billing.folio import DocumentKind, Invoice, TaxTotal
from innkeeper.protocol.billing.queries import ListInvoices, ShowInvoice
from innkeeper.protocol.billing.replies import InvoicesReply
from innkeeper.protocol.billing.terms import Party, PartyRequest
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.values.taxes import ChargeKind, TaxCategory
from support.billing_fixture import CITY, VAT, VAT_FOOD, LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL, TODAY, night

GLOBEX = PartyRequest("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture(VAT, VAT_FOOD, CITY)


def check(invoice: Invoice) -> None:
    """Check that the totals of an invoice add up."""
    assert invoice.total == sum(line.amount for line in invoice.lines) == sum(tax.gross for tax in invoice.totals)
    assert invoice.net == sum(line.net for line in invoice.lines) == sum(tax.net for tax in invoice.totals)
    assert sum(tax.tax for tax in invoice.totals) == sum(line.tax for line in invoice.lines)


def test_an_invoice_contains_seller_buyer_lines_and_tax_totals(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1, guest="Ann", adults=2)
    ledger.post_charge(booking, 1_130, charge=ChargeKind.BREAKFAST, text="Breakfast")
    ledger.post_charge(booking, 500, charge=ChargeKind.OTHER, text="Umbrella")
    ledger.roll_business_date()
    invoice = ledger.issue_invoice(booking)
    assert (invoice.number, invoice.kind, invoice.business_date) == ("INV-1", DocumentKind.INVOICE, night(1))
    assert (invoice.issued_at, invoice.currency) == (ledger.at, "EUR")
    assert (invoice.seller.name, invoice.seller.tax_number, invoice.buyer) == ("Seaside Ltd", "PT500", Party("Ann"))
    assert [line.text for line in invoice.lines] == ["Breakfast", "Umbrella", "Room"]
    assert invoice.totals == (
        TaxTotal("", "", 0, 500, 0, 500),
        TaxTotal("CITY", "City tax", 0, 0, 400, 400, TaxCategory.LEVY),
        TaxTotal("VAT13", "VAT 13 %", 13_000, 1_000, 130, 1_130),
        TaxTotal("VAT6", "VAT 6 %", 6_000, 9_434, 566, 10_000),
    )
    assert (invoice.net, invoice.total) == (10_934, 12_030)
    check(invoice)


def test_a_buyer_given_for_one_invoice_applies_to_it_alone(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking)
    assert ledger.issue_invoice(booking, buyer=GLOBEX).buyer == GLOBEX.party()
    ledger.post_charge(booking)
    assert ledger.issue_invoice(booking).buyer == Party("Ann")


def test_each_folio_is_invoiced_separately(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    own, company = ledger.post_charge(booking, 100), ledger.post_charge(booking, 200)
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    ledger.execute(MoveCharges(HOTEL, booking, (company.id,), 2))
    first, second = ledger.issue_invoice(booking), ledger.issue_invoice(booking, 2)
    assert ([line.line for line in first.lines], first.total) == ([own.id], 100)
    assert (second.total, second.buyer, second.number) == (200, GLOBEX.party(), "INV-2")


def test_a_line_is_invoiced_once(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking, 100)
    ledger.issue_invoice(booking)
    with refused(ledger, "folio 1 has no lines to invoice"):
        ledger.issue_invoice(booking)
    ledger.post_charge(booking, 200)
    assert ledger.issue_invoice(booking).total == 200
    assert [line.invoice for line in ledger.bill(booking).folios[0].lines] == ["INV-1", "INV-2"]


def test_charges_reversed_before_the_invoice_are_not_on_it(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    wrong = ledger.post_charge(booking, 100)
    ledger.record_payment(booking, 50)
    ledger.execute(ReverseCharge(HOTEL, booking, wrong.id, "wrong"))
    with refused(ledger, "folio 1 has no lines"):
        ledger.issue_invoice(booking)
    with refused(ledger, "folio"):
        ledger.issue_invoice(booking, 2)
    ledger.post_charge(booking, 200)
    assert [line.amount for line in ledger.issue_invoice(booking).lines] == [200]


def test_a_free_charge_is_invoiced_with_amount_zero(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.post_charge(booking, 100)
    ledger.execute(PostDiscount(HOTEL, booking, charge=ChargeKind.OTHER, amount=eur(100), reason="a gift"))
    gift = ledger.issue_invoice(booking)
    assert (gift.kind, gift.total) == (DocumentKind.INVOICE, 0)


def test_a_credit_note_reverses_a_whole_invoice(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.roll_business_date()
    ledger.post_charge(booking, 100)
    invoice = ledger.issue_invoice(booking, buyer=GLOBEX)
    note = ledger.issue_credit_note(invoice.number)
    assert (note.number, note.kind, note.credits, note.reason) == (
        "CN-1", DocumentKind.CREDIT_NOTE, "INV-1", "wrong name",
    )  # fmt: skip
    assert [line.amount for line in note.lines] == [-line.amount for line in invoice.lines]
    assert (note.total, note.buyer) == (-invoice.total, GLOBEX.party())
    check(note)
    assert ledger.bill(booking).balance == 0
    assert ledger.query(ShowInvoice(HOTEL, "INV-1")).invoice.credited_by == "CN-1"


def test_an_invoice_is_credited_once_and_a_credit_note_cannot_be_credited(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking, 100)
    ledger.issue_invoice(booking)
    ledger.issue_credit_note("INV-1")
    with refused(ledger, "INV-1 is already credited by CN-1"):
        ledger.issue_credit_note("INV-1")
    with refused(ledger, "CN-1 is a credit note; only invoices"):
        ledger.issue_credit_note("CN-1")
    with refused(ledger, "invoice"):
        ledger.issue_credit_note("INV-9")
    with refused(ledger, "invoice"):
        ledger.query(ShowInvoice(HOTEL, "INV-9"))


def test_a_corrected_charge_after_a_credit_note_is_invoiced(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking, 100)
    ledger.issue_invoice(booking)
    ledger.issue_credit_note("INV-1")
    ledger.post_charge(booking, 90)
    assert (ledger.issue_invoice(booking).number, ledger.bill(booking).balance) == ("INV-2", 90)


def test_a_credit_note_includes_corrections_not_yet_invoiced(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 2)
    ledger.post_charge(booking, 300)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    ledger.issue_invoice(booking)
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    note = ledger.issue_credit_note("INV-1")
    assert sorted(line.amount for line in note.lines) == [-10_000, -300]
    assert ledger.bill(booking).balance == 0


def test_an_invoice_with_an_invoiced_correction_cannot_be_credited(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 2)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    ledger.issue_invoice(booking)
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    ledger.post_charge(booking, 12_000)
    second = ledger.issue_invoice(booking)
    assert (second.kind, sorted(line.amount for line in second.lines)) == (DocumentKind.INVOICE, [-10_000, 12_000])
    check(second)
    with refused(ledger, "are corrected already"):
        ledger.issue_credit_note("INV-1")
    assert ledger.issue_credit_note("INV-2").total == -12_000
    documents = ledger.query(ListInvoices(HOTEL)).invoices
    assert sum(document.invoice.total for document in documents) == ledger.bill(booking).charged == 0


def test_document_numbers_are_consecutive_after_refusals(ledger: LedgerFixture) -> None:
    for number in (1, 2, 3):
        booking = ledger.book_and_check_in(0, 1) if number < 4 else ""
        with refused(ledger, "folio 1 has no lines"):
            ledger.issue_invoice(booking)
        ledger.post_charge(booking, 100)
        assert ledger.issue_invoice(booking).number == f"INV-{number}"
        ledger.check_out(booking)
    assert [ledger.issue_credit_note(f"INV-{number}").number for number in (3, 1)] == ["CN-1", "CN-2"]


def test_a_new_prefix_continues_the_numbers(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking)
    ledger.issue_invoice(booking)
    ledger.set_billing_terms(invoice_prefix="2027/", credit_note_prefix="2027/C")
    ledger.post_charge(booking)
    assert ledger.issue_invoice(booking).number == "2027/2"
    assert ledger.issue_credit_note("INV-1").number == "2027/C1"


def test_prefixes_that_would_repeat_a_number_are_refused(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking)
    ledger.issue_invoice(booking)
    with refused(ledger, "credit_note_prefix:unique"):
        ledger.set_billing_terms(invoice_prefix="A-", credit_note_prefix="A-")
    with refused(ledger, "credit_note_prefix:taken"):
        ledger.set_billing_terms(invoice_prefix="X-", credit_note_prefix="INV-")


def test_documents_are_listed_in_order_of_issue(ledger: LedgerFixture) -> None:
    first_booking, second_booking = ledger.book_and_check_in(), ledger.book_and_check_in()
    for booking in (first_booking, second_booking, first_booking):
        ledger.post_charge(booking, 100)
        ledger.issue_invoice(booking)

    def listed(**more: object) -> tuple[list[str], int]:
        reply = ledger.query(ListInvoices(HOTEL, **more))  # type: ignore[arg-type]
        assert isinstance(reply, InvoicesReply)
        return [each.invoice.number for each in reply.invoices], reply.number

    assert listed() == (["INV-1", "INV-2", "INV-3"], 3)
    assert listed(booking=first_booking) == (["INV-1", "INV-3"], 2)
    assert listed(skip=1, limit=1) == (["INV-2"], 3)


def test_a_line_with_two_tax_rates_counts_its_net_under_both() -> None:
    ledger = LedgerFixture()
    taxes = tuple(
        VAT.__class__(code=code, name=code, applies_to=(ChargeKind.OTHER,), rate=rate)
        for code, rate in (("STATE", "6"), ("COUNTY", "2"))
    )
    ledger.set_terms_of_sale(taxes=taxes)
    booking = ledger.book_and_check_in()
    ledger.post_charge(booking, 1_000)
    invoice = ledger.issue_invoice(booking)
    assert invoice.totals == (
        TaxTotal("COUNTY", "COUNTY", 2_000, 1_000, 20, 1_020),
        TaxTotal("STATE", "STATE", 6_000, 1_000, 60, 1_060),
    )
    assert (invoice.net, invoice.total, invoice.business_date) == (1_000, 1_080, TODAY)
