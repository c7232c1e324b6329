"""Invoices over HTTP, as a tax adviser reads them: what Directive 2006/112/EC (article 226) demands, corrections that
name what they correct, deposits, and numbers that begin anew each year."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import SELLER, Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.invoiced_stay import CITY, FOOD, GLOBEX, VAT, Stay, euros, issued
from support.partition_fixture import night


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def amounts(document: Any, *fields: str) -> list[str]:
    return [document[field]["amount"] for field in fields]


def lines(document: Any) -> list[tuple[str, str, int, str, str]]:
    """The date of supply, text, quantity, unit price and amount of each line."""
    return [
        (line["supplied_on"], line["text"], line["quantity"], line["unit_net"]["amount"], line["amount"]["amount"])
        for line in document["lines"]
    ]


def totals(document: Any) -> list[tuple[str, str, str, str]]:
    return [(row["name"], row["rate"], row["net"]["amount"], row["tax"]["amount"]) for row in document["totals"]]


def test_an_invoice_has_all_that_the_law_demands(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT, FOOD, CITY)
    bank = {"iban": "PT50000201231234567890154", "bic": "CGDIPTPL"}
    gateway.set_billing(stay.hotel, payment_days=14, bank=bank, language="pt", note="Thank you")
    stay.sleep()
    stay.charge("10.00", quantity=3, supplied_on=str(night(1)))
    stay.pay("50.00")
    invoice = stay.invoice(buyer=GLOBEX)
    assert invoice["seller"] == SELLER
    assert invoice["buyer"] == GLOBEX
    assert lines(invoice) == [
        (str(night(0)), "Room", 1, "94.34", "102.00"),
        (str(night(1)), "Room", 1, "94.34", "102.00"),
        (str(night(1)), "Breakfast", 3, "8.85", "30.00"),
    ]
    assert [line["room"] for line in invoice["lines"]] == [stay.booking["room"]] * 2 + [""]
    assert totals(invoice) == [
        ("City tax", "0", "0.00", "4.00"),
        ("IVA 6 %", "6", "188.68", "11.32"),
        ("IVA 13 %", "13", "26.55", "3.45"),
    ]
    assert amounts(invoice, "net", "tax", "total", "paid", "due") == ["215.23", "18.77", "234.00", "50.00", "184.00"]
    assert (invoice["due_on"], invoice["bank"], invoice["language"]) == (str(night(16)), bank, "pt")
    assert [(one["paid_on"], one["amount"]["amount"]) for one in invoice["payments"]] == [(str(night(2)), "50.00")]
    assert invoice["stay"] == {
        "locator": stay.booking["locator"], "guest": "Ann", "room_type": "DBL", "rooms": [stay.booking["room"]],
        "arrival": str(night(0)), "departure": str(night(2)),
    }  # fmt: skip


def test_no_document_is_issued_before_the_seller_has_an_address_and_a_tax_number(gateway: Gateway) -> None:
    stay = Stay(gateway, seller=False)
    stay.charge("10.00")
    refused = assert_problem(stay.post("invoices"), 409, "seller_incomplete")
    assert refused["lacking"] == ["address", "city", "country", "tax_number"]
    gateway.set_billing(stay.hotel, seller=SELLER | {"tax_number": "", "vat_id": ""})
    assert assert_problem(stay.post("invoices"), 409, "seller_incomplete")["lacking"] == ["tax_number"]
    gateway.set_billing(stay.hotel)
    assert stay.invoice()["number"] == "INV-1"


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"seller": SELLER | {"country": "XX"}}, "seller.country", "iso_3166"),
        ({"seller": SELLER | {"vat_id": "500"}}, "seller.vat_id", "form"),
        ({"bank": {"iban": "PT50000201231234567890155"}}, "bank.iban", "checksum"),
        ({"bank": {"iban": "PT50000201231234567890154", "bic": "?"}}, "bank.bic", "form"),
        ({"payment_days": 366}, "payment_days", "range"),
        ({"invoice_prefix": "{year}"}, "invoice_prefix", "form"),
        ({"invoice_prefix": "{year}-{year}-"}, "invoice_prefix", "form"),
        ({"invoice_prefix": "I{year}-", "credit_note_prefix": "I2026-"}, "credit_note_prefix", "unique"),
    ],
)
def test_billing_terms_that_no_invoice_could_carry_are_refused(
    gateway: Gateway, change: dict[str, Any], field: str, rule: str
) -> None:
    hotel = gateway.open_hotel()
    reply = gateway.send("PUT", f"{hotel}/billing", {"seller": SELLER} | change)
    problem = assert_problem(reply, 422, "invalid")
    assert problem["errors"][0]["field"] == field, problem
    assert problem["errors"][0]["rule"] == rule, problem


def test_two_rates_of_one_tax_are_two_rows_under_the_names_that_they_had(gateway: Gateway) -> None:
    before = {"code": "VAT", "name": "MwSt 19 %", "applies_to": ["minibar"], "rate": "19", "included": True}
    after = before | {"name": "MwSt 16 %", "rate": "16", "valid_from": str(night(1))}
    stay = Stay(gateway, before | {"valid_to": str(night(0))}, after)
    stay.charge("11.90", "Wine", "minibar")
    stay.sleep()
    stay.charge("11.60", "Wine", "minibar")
    rows = totals(stay.invoice())
    assert rows[1:] == [("MwSt 16 %", "16", "10.00", "1.60"), ("MwSt 19 %", "19", "10.00", "1.90")]


def test_where_no_tax_is_due_the_invoice_says_why(gateway: Gateway) -> None:
    why = "VAT exempt under article 132(1)(b) of Directive 2006/112/EC"
    stay = Stay(gateway, {"code": "VAT", "name": "Exempt", "applies_to": ["spa"], "rate": "0", "exemption": why})
    stay.charge("80.00", "Physiotherapy", "spa")
    (row,) = stay.invoice()["totals"]
    assert (row["category"], row["exemption"], row["rate"], row["net"]) == ("exempt", why, "0", euros("80.00"))


@pytest.mark.parametrize(
    ("tax", "field"),
    [
        ({"rate": "0", "category": "exempt"}, "exemption"),
        ({"rate": "0", "category": "standard"}, "category"),
        ({"rate": "6", "category": "zero_rated"}, "category"),
        ({"rate": "6", "exemption": "none"}, "exemption"),
        ({"amount": euros("2.00"), "category": "standard"}, "category"),
        ({}, "rate"),
    ],
)
def test_a_tax_that_contradicts_its_category_is_refused(gateway: Gateway, tax: dict[str, Any], field: str) -> None:
    hotel = gateway.open_hotel()
    body = {"taxes": [{"code": "T", "name": "T", "applies_to": ["room"]} | tax]}
    problem = assert_problem(gateway.send("PATCH", hotel, body), 422, "invalid")
    assert [error["field"].rpartition(".")[2] for error in problem["errors"]] == [field]


def test_a_line_keeps_its_day_when_it_is_transferred(gateway: Gateway) -> None:
    stay = Stay(gateway, FOOD)
    line = stay.charge("10.00")
    stay.sleep()
    assert stay.post("folios", buyer=GLOBEX).status == 201
    assert stay.post("folio/actions/transfer", lines=[line], to_folio=2).status == 200
    (moved,) = stay.invoice(folio=2)["lines"]
    assert (moved["supplied_on"], moved["amount"]) == (str(night(0)), euros("10.00"))


def test_a_charge_is_for_a_day_that_was(gateway: Gateway) -> None:
    stay = Stay(gateway)
    for day in (night(1), night(-367)):
        reply = stay.post("folio/charges", charge="spa", text="Spa", amount=euros("1.00"), supplied_on=str(day))
        assert_problem(reply, 422, "invalid", "supplied_on", "past")


def test_a_split_keeps_a_quantity_that_costs_what_it_says(gateway: Gateway) -> None:
    stay = Stay(gateway)
    first = stay.charge("10.00", quantity=3)
    whole = stay.post(f"folio/charges/{first}/actions/split", amount=euros("20.00")).json["folios"][0]["lines"]
    assert [(line["quantity"], line["amount"]["amount"]) for line in whole[-2:]] == [(2, "20.00"), (1, "10.00")]
    second = stay.charge("10.00", quantity=3)
    part = stay.post(f"folio/charges/{second}/actions/split", amount=euros("15.00")).json["folios"][0]["lines"]
    assert [(line["quantity"], line["amount"]["amount"]) for line in part[-2:]] == [(1, "15.00"), (1, "15.00")]
    third = stay.charge("3.33", quantity=3)
    one = stay.post(f"folio/charges/{third}/actions/split", quantity=1).json["folios"][0]["lines"]
    assert [(line["quantity"], line["amount"]["amount"]) for line in one[-2:]] == [(1, "3.33"), (2, "6.66")]
    path = f"folio/charges/{one[-1]['id']}/actions/split"
    assert_problem(stay.post(path, quantity=3), 422, "invalid", "quantity", "maximum")
    assert_problem(stay.post(path, quantity=2), 422, "invalid", "amount", "part")
    assert_problem(stay.post(path), 422, "invalid", "amount", "one_of")


def test_a_credit_note_names_the_invoice_and_each_line_and_why(gateway: Gateway) -> None:
    stay = Stay(gateway, FOOD)
    stay.charge("10.00")
    stay.charge("10.00", quantity=3)
    invoice = stay.invoice()
    note = issued(stay.correct("INV-1", "credit", reason="not eaten"))
    assert (note["number"], note["credits"], note["reason"]) == ("CN-1", "INV-1", "not eaten")
    assert [line["corrects"] for line in note["lines"]] == [
        {"invoice": "INV-1", "position": 1}, {"invoice": "INV-1", "position": 2},
    ]  # fmt: skip
    assert [(line["reason"], line["quantity"]) for line in note["lines"]] == [("not eaten", -1), ("not eaten", -3)]
    assert note["total"]["amount"] == "-" + invoice["total"]["amount"]
    assert stay.balance() == "0.00"


def test_an_invoice_is_credited_in_parts_until_nothing_is_left(gateway: Gateway) -> None:
    stay = Stay(gateway, FOOD)
    stay.charge("10.00", quantity=3)
    stay.charge("5.00", "Juice")
    stay.invoice()
    note = issued(stay.correct("INV-1", "credit", lines=[{"position": 1, "quantity": 1}]))
    assert (lines(note)[0][2:], note["lines"][0]["corrects"]["position"]) == ((-1, "8.85", "-10.00"), 1)
    assert totals(note) == [("IVA 13 %", "13", "-8.85", "-1.15")]
    invoice = gateway.get(f"{stay.hotel}/invoices/INV-1").json
    assert (invoice["credit_notes"], invoice["credited_by"]) == (["CN-1"], None)
    assert issued(stay.correct("INV-1", "credit", lines=[{"position": 1, "amount": euros("4.00")}]))["number"] == "CN-2"
    too_much = stay.correct("INV-1", "credit", lines=[{"position": 1, "amount": euros("16.01")}])
    assert_problem(too_much, 422, "invalid", "lines.amount", "part")
    assert_problem(stay.correct("INV-1", "credit", lines=[{"position": 3}]), 404, "not_found")
    both = [{"position": 2, "amount": euros("1.00"), "quantity": 1}]
    assert_problem(stay.correct("INV-1", "credit", lines=both), 422, "invalid")
    rest = issued(stay.correct("INV-1", "credit"))
    assert [line["amount"]["amount"] for line in rest["lines"]] == ["-16.00", "-5.00"]
    assert_problem(stay.correct("INV-1", "credit"), 409, "not_allowed")
    documents = gateway.get(f"{stay.hotel}/invoices").json["data"]
    assert documents[0]["credited_by"] == "CN-3"
    assert sum(float(document["total"]["amount"]) for document in documents) == 0
    assert sum(float(document["tax"]["amount"]) for document in documents) == pytest.approx(0)
    assert stay.balance() == "0.00"


def test_an_invoice_to_the_wrong_buyer_is_issued_anew_to_the_right_one(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT, CITY)
    stay.sleep()
    stay.pay("204.00")
    first = stay.invoice()
    again = issued(stay.correct("INV-1", "reissue", reason="wrong buyer", buyer=GLOBEX))
    assert (again["number"], again["replaces"], again["buyer"]["name"]) == ("INV-2", "INV-1", "Globex")
    assert (lines(again), totals(again)) == (lines(first), totals(first))
    assert amounts(again, "total", "paid", "due") == ["204.00", "204.00", "0.00"]
    listed = gateway.get(f"{stay.hotel}/invoices").json["data"]
    assert [document["number"] for document in listed] == ["INV-1", "CN-1", "INV-2"]
    assert (listed[0]["credited_by"], listed[1]["credits"]) == ("CN-1", "INV-1")
    assert stay.balance() == "0.00"
    assert_problem(stay.correct("INV-1", "reissue", buyer=GLOBEX), 409, "not_allowed")
    assert_problem(stay.correct("CN-1", "reissue", buyer=GLOBEX), 409, "not_allowed")
    assert_problem(stay.correct("INV-9", "reissue", buyer=GLOBEX), 404, "not_found")


def test_a_deposit_is_invoiced_when_it_is_paid_and_taken_off_the_final_invoice(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT, CITY)
    assert_problem(stay.post("deposit-invoices"), 409, "not_allowed")
    stay.pay("61.20")
    deposit = issued(stay.post("deposit-invoices"))
    assert (deposit["kind"], deposit["number"]) == ("deposit_invoice", "INV-1")
    assert lines(deposit) == [(str(night(0)), "Deposit", 1, "56.60", "61.20")]
    assert totals(deposit) == [("City tax", "0", "0.00", "1.20"), ("IVA 6 %", "6", "56.60", "3.40")]
    assert amounts(deposit, "total", "paid", "due") == ["61.20", "61.20", "0.00"]
    assert_problem(stay.post("deposit-invoices"), 409, "not_allowed")
    stay.sleep()
    stay.pay("100.00")
    stay.act("check-out")
    final = stay.invoice()
    assert lines(final)[2] == (str(night(0)), "Deposit, invoice INV-1", -1, "56.60", "-61.20")
    assert totals(final) == [("City tax", "0", "0.00", "2.80"), ("IVA 6 %", "6", "132.08", "7.92")]
    assert amounts(final, "total", "paid", "due") == ["142.80", "100.00", "42.80"]
    assert gateway.get(f"{stay.hotel}/invoices/INV-1").json["settled_by"] == "INV-2"
    assert_problem(stay.correct("INV-1", "credit"), 409, "not_allowed")
    note = issued(stay.correct("INV-2", "credit"))
    assert note["total"]["amount"] == "-142.80"
    assert gateway.get(f"{stay.hotel}/invoices/INV-1").json["settled_by"] is None
    assert issued(stay.correct("INV-1", "credit"))["total"]["amount"] == "-61.20"


def test_a_deposit_is_invoiced_in_part_and_never_above_what_was_paid(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT)
    stay.pay("80.00")
    assert issued(stay.post("deposit-invoices", amount=euros("30.00")))["total"]["amount"] == "30.00"
    assert_problem(stay.post("deposit-invoices", amount=euros("50.01")), 422, "invalid", "amount", "paid_max")
    assert_problem(stay.post("deposit-invoices", amount=euros("0.00")), 422, "invalid", "amount", "positive")
    assert issued(stay.post("deposit-invoices", buyer=GLOBEX))["total"]["amount"] == "50.00"
    stay.act("cancel")
    assert_problem(stay.post("deposit-invoices"), 409, "not_allowed")
    final = stay.invoice()
    assert (final["kind"], amounts(final, "total", "due")) == ("invoice", ["20.00", "20.00"])


def test_a_bar_bill_during_the_stay_does_not_settle_the_deposit(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT)
    stay.pay("60.00")
    issued(stay.post("deposit-invoices"))
    stay.charge("5.00", "Water", "minibar")
    bar = stay.invoice()
    assert amounts(bar, "total", "paid", "due") == ["5.00", "0.00", "5.00"]
    assert gateway.get(f"{stay.hotel}/invoices/INV-1").json["settled_by"] is None


def test_a_correction_by_the_program_names_the_invoice_the_line_and_why(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT)
    stay.act("cancel")
    stay.invoice()
    stay.act("reinstate")
    note = stay.invoice()
    assert (note["kind"], note["credits"], note["reason"]) == ("credit_note", "INV-1", "The booking was reinstated")
    (line,) = note["lines"]
    assert (line["corrects"], line["reason_code"]) == ({"invoice": "INV-1", "position": 1}, "reinstated")
    assert amounts(note, "total", "due") == ["-100.00", "0.00"], "it was never paid"


def test_numbers_begin_anew_each_year(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 4}, business_date="2026-12-31")
    gateway.set_billing(hotel, invoice_prefix="INV-{year}-", credit_note_prefix="CN-{year}-")
    numbers = []
    for _ in range(2):
        for _ in range(2):
            reply = gateway.post(f"{hotel}/bookings", new_year_stay())
            path = f"{hotel}/bookings/{reply.json['id']}"
            gateway.post(f"{path}/folio/charges", {"charge": "spa", "text": "Spa", "amount": euros("5.00")})
            numbers.append(issued(gateway.post(f"{path}/invoices", {}))["number"])
        assert gateway.post(f"{hotel}/night-audit", {"to": "2027-01-01"}).status == 200
    assert numbers == ["INV-2026-1", "INV-2026-2", "INV-2027-1", "INV-2027-2"]
    taken = gateway.send("PUT", f"{hotel}/billing", {"seller": SELLER, "invoice_prefix": "INV-2026-"})
    assert_problem(taken, 422, "invalid", "invoice_prefix", "taken")


def new_year_stay() -> dict[str, Any]:
    return {"room_type": "DBL", "arrival": "2027-01-02", "departure": "2027-01-03", "guest": {"name": "Ann"}}


@pytest.mark.parametrize(("of_guest", "asked", "shown"), [("de", None, "de"), (None, None, "pt"), ("de", "en", "en")])
def test_an_invoice_is_in_the_language_of_the_guest_or_else_of_the_hotel(
    gateway: Gateway, of_guest: str | None, asked: str | None, shown: str
) -> None:
    hotel = gateway.open_hotel()
    gateway.set_billing(hotel, language="pt")
    booking = booking_path(hotel, gateway.book(hotel, guest={"name": "Ann", "language": of_guest}))
    amount = {"amount": "5.00", "currency": "EUR"}
    gateway.post(f"{booking}/folio/charges", {"charge": "minibar", "text": "Water", "amount": amount})
    invoice = gateway.post(f"{booking}/invoices", {} if asked is None else {"language": asked})
    assert (invoice.status, invoice.json["language"]) == (201, shown)
