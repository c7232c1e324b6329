"""A guest who leaves has left, paid or not: check-out says what is owed, and a list says who owes."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway, booking_path
from support.gateway import gateway as running_gateway
from support.openapi_schemas import check_response
from support.partition_fixture import night
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def in_house(gateway: Gateway, hotel: str, nights: int = 2, **more: Any) -> dict[str, Any]:
    booking = gateway.book(hotel, 0, nights, **more)
    gateway.act(hotel, booking, "check-in")
    return booking


def charge(gateway: Gateway, hotel: str, booking: dict[str, Any], amount: str) -> None:
    body = {"charge": "minibar", "text": "Wine", "amount": eur(amount)}
    assert gateway.post(f"{booking_path(hotel, booking)}/folio/charges", body).status == 201


def pay(gateway: Gateway, hotel: str, booking: dict[str, Any], amount: str) -> None:
    body = {"method": "cash", "amount": eur(amount), "allow_overpayment": True}
    assert gateway.post(f"{booking_path(hotel, booking)}/folio/payments", body).status == 201


def leave(gateway: Gateway, hotel: str, booking: dict[str, Any], reason: str = "early") -> Any:
    return gateway.act(hotel, booking, "check-out", reason_code=reason)


def preview(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> Any:
    return gateway.post(f"{booking_path(hotel, booking)}/actions/check-out?dry_run=true", {"reason_code": "early"})


def owing(gateway: Gateway, hotel: str, **query: Any) -> dict[str, str]:
    listed = gateway.list_all(f"{hotel}/open-balances", **query)
    return {one["booking"]: one["balance"]["amount"] for one in listed}


def audited_balances(audit: dict[str, Any], side: str) -> dict[str, str]:
    assert not audit["open_balances"][side]["more"]
    return {one["booking"]: one["balance"]["amount"] for one in audit["open_balances"][side]["bookings"]}


@pytest.mark.parametrize("audits", [0, 1, 2])
def test_a_check_out_says_what_is_owed_before_and_after_it(gateway: Gateway, audits: int) -> None:
    """The nights slept count, posted or not; a night that is not slept does not."""
    hotel = gateway.open_hotel()
    booking = in_house(gateway, hotel)
    for number in range(audits):
        gateway.run_night_audit(hotel, number + 1)
    charge(gateway, hotel, booking, "12.50")
    pay(gateway, hotel, booking, "60.00")
    owed = {0: "52.50", 1: "52.50", 2: "152.50"}[audits]
    seen = preview(gateway, hotel, booking)
    check_response("check_out", seen)
    assert (seen.json["balance"], seen.json["warnings"], seen.json["status"]) == (eur(owed), [], "checked_out")
    assert gateway.get(booking_path(hotel, booking)).json["status"] == "in_house"
    left = leave(gateway, hotel, booking)
    check_response("check_out", left)
    assert (left.status, left.json["balance"], left.json["warnings"]) == (200, eur(owed), [])
    assert gateway.get(f"{booking_path(hotel, booking)}/folio").json["balance"] == eur(owed)
    assert "balance" not in gateway.get(booking_path(hotel, booking)).json


def test_a_guest_who_has_paid_too_much_has_a_balance_below_zero(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    booking = in_house(gateway, hotel, 1)
    pay(gateway, hotel, booking, "130.00")
    assert owing(gateway, hotel) == {booking["id"]: "-30.00"}  # with all that the stay costs
    assert leave(gateway, hotel, booking).json["balance"] == eur("-30.00")
    assert owing(gateway, hotel) == owing(gateway, hotel, balance="owed_to_guest") == {booking["id"]: "-30.00"}
    assert owing(gateway, hotel, balance="owed_by_guest") == {}


def test_to_whom_the_hotel_owes_money_is_listed_until_it_is_paid_back(gateway: Gateway) -> None:
    """A deposit is not owed back before the booking is cancelled for free, nor a payment before the stay is shorter."""
    hotel = gateway.open_hotel({"DBL": 9})
    cancelled, shortened, forgotten = (gateway.book(hotel, 30, 3, guest={"name": name}) for name in "ABC")
    guests = {one["id"]: one for one in (cancelled, shortened, forgotten)}
    for booking in guests.values():
        pay(gateway, hotel, booking, "300.00")
    assert owing(gateway, hotel) == {}
    gateway.act(hotel, cancelled, "cancel")
    assert gateway.send("PATCH", booking_path(hotel, shortened), {"departure": str(night(32))}).status == 200
    expected = {cancelled["id"]: "-300.00", shortened["id"]: "-100.00"}
    debtor = in_house(gateway, hotel, 1)
    leave(gateway, hotel, debtor)
    both = expected | {debtor["id"]: "100.00"}
    listed = gateway.get(f"{hotel}/open-balances", balance="owed_to_guest")
    check_response("list_open_balances", listed)
    assert owing(gateway, hotel) == owing(gateway, hotel, limit=1) == both
    assert owing(gateway, hotel, limit=1, balance="owed_to_guest") == expected
    assert owing(gateway, hotel, limit=1, balance="owed_by_guest") == {debtor["id"]: "100.00"}
    assert {one["booking"]: one["status"] for one in listed.json["data"]} == {
        cancelled["id"]: "cancelled", shortened["id"]: "confirmed",
    }  # fmt: skip
    audited = gateway.post(f"{hotel}/night-audit?dry_run=true")
    check_response("audit_night", audited)
    assert audited_balances(audited.json, "owed_to_guests") == expected
    assert audited_balances(audited.json, "owed_by_guests") == {debtor["id"]: "100.00"}
    gateway.restart()
    assert owing(gateway, hotel) == both
    assert gateway.send("PATCH", booking_path(hotel, shortened), {"departure": str(night(33))}).status == 200
    payment = gateway.get(f"{booking_path(hotel, cancelled)}/folio").json["folios"][0]["payments"][0]["id"]
    assert gateway.post(f"{hotel}/payments/{payment}/actions/refund", {}).status == 200
    assert owing(gateway, hotel, balance="owed_to_guest") == {}


def test_a_guest_in_house_who_has_paid_is_not_listed_as_the_nights_are_posted(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    booking = in_house(gateway, hotel, 3)
    pay(gateway, hotel, booking, "300.00")
    for number in range(3):
        assert owing(gateway, hotel) == {}
        gateway.run_night_audit(hotel, number + 1)
    charge(gateway, hotel, booking, "5.00")
    assert gateway.act(hotel, booking, "check-out").status == 200
    assert owing(gateway, hotel) == {booking["id"]: "5.00"}


def test_who_has_left_and_owes_is_listed_until_it_is_paid(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 9})
    guests = [in_house(gateway, hotel, 1, guest={"name": f"Guest {number}"}) for number in range(3)]
    absent, stays = gateway.book(hotel, 0, 1), in_house(gateway, hotel, 5)
    gateway.act(hotel, absent, "no-show")
    charge(gateway, hotel, stays, "50.00")
    for guest in guests:
        leave(gateway, hotel, guest)
    pay(gateway, hotel, guests[1], "100.00")
    pay(gateway, hotel, guests[2], "30.00")
    expected = {guests[0]["id"]: "100.00", guests[2]["id"]: "70.00", absent["id"]: "100.00"}
    listed = gateway.get(f"{hotel}/open-balances")
    check_response("list_open_balances", listed)
    assert owing(gateway, hotel) == owing(gateway, hotel, limit=1) == expected
    for audit in ("night-audit?dry_run=true", "night-audit"):
        assert audited_balances(gateway.post(f"{hotel}/{audit}").json, "owed_by_guests") == expected
    first = listed.json["data"][0]
    assert (first["guest"], first["locator"], first["status"]) == ("Guest 0", guests[0]["locator"], "checked_out")
    page = gateway.get(f"{hotel}/open-balances", limit=1).json
    pay(gateway, hotel, guests[0], "100.00")  # who pays between two pages makes nobody be skipped
    rest = gateway.get(f"{hotel}/open-balances", cursor=page["next_cursor"]).json["data"]
    assert [one["booking"] for one in rest] == [booking for booking in sorted(expected) if booking != guests[0]["id"]]
    gateway.restart()
    assert owing(gateway, hotel) == {booking: owed for booking, owed in expected.items() if booking != guests[0]["id"]}


def test_a_check_out_does_not_wait_for_billing(tmp_path: Path) -> None:
    """Billing is away: the guest leaves, and the answer says that nobody knows what is owed."""
    with running_gateway(tmp_path, split=True) as gateway:
        hotel = gateway.open_hotel()
        booking = in_house(gateway, hotel)
        gateway.stop_part("billing")
        for answer in (preview(gateway, hotel, booking), leave(gateway, hotel, booking)):
            assert (answer.status, answer.json["status"], answer.json["balance"]) == (200, "checked_out", None)
            assert [warning["code"] for warning in answer.json["warnings"]] == ["balance_unknown"]
        assert gateway.post(f"{hotel}/night-audit?dry_run=true").json["open_balances"] is None
        gateway.start_part("billing")
        wait_until(lambda: gateway.get(f"{hotel}/open-balances").status == 200, SECONDS_MAX)
        assert list(owing(gateway, hotel).values()) == ["100.00"]


def test_a_check_out_waits_only_a_moment_for_billing_that_is_behind(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    booking = in_house(gateway, hotel)
    assert gateway.post("/v1/subscribers/billing/actions/pause").status == 200
    try:
        began = monotonic()
        answer = leave(gateway, hotel, booking)
        assert answer.status == 200
        assert answer.json["balance"] in (None, eur("100.00"))  # what billing had begun before the pause, it ends
        assert monotonic() - began < 10 * limits.check_out_balance_seconds_max
    finally:
        gateway.post("/v1/subscribers/billing/actions/resume")
