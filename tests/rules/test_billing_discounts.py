"""Discounts have the taxes of what they lower: those that the folio was charged, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.billing.commands import IssueInvoice, PostDiscount, ReverseCharge
from innkeeper.protocol.billing.folio import FolioLine, LineKind
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations.terms import TaxRequest
from innkeeper.protocol.values.taxes import ChargeKind, TaxCategory, TaxExemption
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import CITY, SERVICE, VAT, LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL, night

VAT_10 = TaxRequest(code="VAT10", name="VAT 10 %", applies_to=(ChargeKind.ROOM,), rate="10", included=True)
LEVY = TaxRequest(
    code="LEVY", name="Levy 5 %", applies_to=(ChargeKind.ROOM,), rate="5", category=TaxCategory.LEVY
)  # fmt: skip


def discount(ledger: LedgerFixture, booking: str, units: int, charge: ChargeKind = ChargeKind.ROOM) -> list[FolioLine]:
    """Post a discount; its lines."""
    before = len(ledger.bill(booking).folios[0].lines)
    ledger.execute(PostDiscount(HOTEL, booking, charge=charge, amount=eur(units), reason="noise"))
    return list(ledger.bill(booking).folios[0].lines[before:])


def stay(ledger: LedgerFixture, nights: int = 2, **more: object) -> str:
    booking = ledger.book_and_check_in(0, nights, **more)
    ledger.roll_business_date(nights)
    return booking


def taxes(lines: list[FolioLine]) -> list[tuple[str, int, int]]:
    return [(tax.code, tax.amount, tax.base) for line in lines for tax in line.taxes]


def check(ledger: LedgerFixture) -> None:
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []


def test_a_discount_has_the_taxes_of_the_bookings_terms_and_not_those_of_now() -> None:
    ledger = LedgerFixture(VAT)
    booking = stay(ledger)
    ledger.set_terms_of_sale(taxes=(VAT_10,))
    (line,) = discount(ledger, booking, 20_000)
    assert (line.amount, taxes([line])) == (-20_000, [("VAT6", -1_132, -18_868)])
    invoice = ledger.issue_invoice(booking)
    assert (invoice.total, [(total.code, total.net, total.tax) for total in invoice.totals]) == (0, [("VAT6", 0, 0)])
    check(ledger)


def test_a_discount_does_not_give_back_a_levy_from_which_the_guest_is_exempt() -> None:
    ledger = LedgerFixture(LEVY)
    booking = stay(ledger, exemptions=(TaxExemption("LEVY", "on business"),))
    (line,) = discount(ledger, booking, 5_000)
    assert (line.amount, line.taxes) == (-5_000, ())
    assert ledger.bill(booking).balance == 15_000
    check(ledger)


def test_a_rate_that_is_added_is_lowered_beside_the_amount() -> None:
    ledger = LedgerFixture(LEVY)
    booking = stay(ledger)
    (line,) = discount(ledger, booking, 5_000)
    assert (line.amount, taxes([line])) == (-5_250, [("LEVY", -250, -5_000)])
    with refused(ledger, "amount:charged_max"):
        discount(ledger, booking, 15_001)
    discount(ledger, booking, 15_000)
    assert ledger.bill(booking).balance == 0
    check(ledger)


def test_a_tax_of_a_fixed_amount_is_not_lowered() -> None:
    ledger = LedgerFixture(VAT, CITY)
    booking = stay(ledger, adults=2)
    assert taxes(discount(ledger, booking, 5_000)) == [("VAT6", -283, -4_717)]
    with refused(ledger, "amount:charged_max"):
        discount(ledger, booking, 15_001)
    discount(ledger, booking, 15_000)
    assert ledger.bill(booking).balance == 800
    invoice = ledger.issue_invoice(booking)
    assert [(total.code, total.net, total.tax) for total in invoice.totals] == [("CITY", 0, 800), ("VAT6", 0, 0)]
    check(ledger)


def test_a_discount_on_nights_with_two_rates_has_a_line_for_each() -> None:
    until = TaxRequest(code="T", name="T", applies_to=(ChargeKind.ROOM,), rate="6", included=True, valid_to=night(0))
    after = TaxRequest(code="T", name="T", applies_to=(ChargeKind.ROOM,), rate="7", included=True, valid_from=night(1))
    ledger = LedgerFixture(until, after)
    booking = stay(ledger, 3)
    lines = discount(ledger, booking, 10_000)
    assert [(line.amount, line.taxes[0].rate, line.tax) for line in lines] == [
        (-3_333, 6_000, -189), (-6_667, 7_000, -436),
    ]  # fmt: skip
    discount(ledger, booking, 20_000)
    invoice = ledger.issue_invoice(booking)
    assert [(total.rate, total.net, total.tax) for total in invoice.totals] == [(6_000, 0, 0), (7_000, 0, 0)]
    check(ledger)


def test_a_charge_that_was_reversed_after_a_discount_is_not_lowered_again() -> None:
    ledger = LedgerFixture(VAT)
    booking = ledger.book_and_check_in(0, 2)
    first = ledger.post_charge(booking, 1_000, charge=ChargeKind.FEE)
    ledger.set_terms_of_sale(taxes=())
    ledger.post_charge(booking, 1_000, charge=ChargeKind.FEE)
    assert [line.amount for line in discount(ledger, booking, 400, ChargeKind.FEE)] == [-200, -200]
    ledger.execute(ReverseCharge(HOTEL, booking, first.id, "wrong"))
    with refused(ledger, "amount:charged_max"):
        discount(ledger, booking, 601, ChargeKind.FEE)
    (line,) = discount(ledger, booking, 600, ChargeKind.FEE)
    assert (line.amount, line.taxes) == (-600, ())
    check(ledger)


@given(
    st.lists(
        st.tuples(st.integers(1, 999), st.sampled_from([(VAT,), (), (SERVICE,), (SERVICE, VAT)])),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.integers(1, 2_000), max_size=4),
)
def test_discounts_of_all_that_is_charged_leave_no_tax(
    charges: list[tuple[int, tuple[TaxRequest, ...]]], parts: list[int]
) -> None:
    ledger = LedgerFixture()
    booking = ledger.book_and_check_in(0, 1)
    left = 0
    for units, terms in charges:
        ledger.set_terms_of_sale(taxes=tuple(_on_minibar(tax) for tax in terms))
        ledger.post_charge(booking, units, charge=ChargeKind.MINIBAR)
        left += units
    for part in parts:
        if part <= left:
            discount(ledger, booking, part, ChargeKind.MINIBAR)
            left -= part
    if left:
        discount(ledger, booking, left, ChargeKind.MINIBAR)
    with pytest.raises(Refused):
        discount(ledger, booking, 1, ChargeKind.MINIBAR)
    sums: dict[tuple[str, int], int] = {}
    for line in ledger.bill(booking).folios[0].lines:
        assert line.kind is LineKind.CHARGE or line.amount < 0
        for tax in line.taxes:
            sums[tax.code, tax.rate] = sums.get((tax.code, tax.rate), 0) + tax.amount
    assert not any(sums.values())
    invoice = ledger.execute_invoice(IssueInvoice(HOTEL, booking, 1))
    assert (ledger.bill(booking).balance, invoice.total, invoice.net) == (0, 0, 0)
    assert not any(total.tax or total.net for total in invoice.totals)
    check(ledger)


def _on_minibar(tax: TaxRequest) -> TaxRequest:
    return TaxRequest(
        code=tax.code, name=tax.name, applies_to=(ChargeKind.MINIBAR,), rate=tax.rate, included=tax.included
    )  # fmt: skip
