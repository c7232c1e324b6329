"""The contact data of guests: an address that no letter can be sent to is refused when it is given."""

from collections.abc import Iterator
from typing import Any

import pytest
from innkeeper.delivery.email.message import mailbox
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests of this file."""
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """The path of a hotel that is sold out tomorrow."""
    path = gateway.open_hotel({"DBL": 1})
    gateway.book(path)
    return path


def guest(**more: Any) -> dict[str, Any]:
    return {"guest": {"name": "Ann"} | more}


@pytest.mark.parametrize(
    "email",
    ["ann@hotel..com", "a,b@x.pt", "ann.@x.pt", "ann@-bad-.com", "ann@hotel", "ann@localhost", "ann@[127.0.0.1]",
     '"ann"@x.pt', "ann@x.pt>", "a" * 65 + "@x.pt", "ann@" + "a" * 64 + ".com", "ann@ex%41mple.com", "Ann <ann@x.pt>"],
)  # fmt: skip
def test_an_address_that_the_mailer_cannot_send_to_is_refused(gateway: Gateway, hotel: str, email: str) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        mailbox(email)
    booking = gateway.book(hotel, 9, **guest(email="ann@x.pt"))
    for method, path, body in (
        ("POST", f"{hotel}/bookings", stay_request(3)),
        ("POST", f"{hotel}/waitlist", stay_request()),
        ("PATCH", booking_path(hotel, booking), {}),
    ):
        problem = assert_problem(gateway.send(method, path, body | guest(email=email)), 422, "invalid")
        ((field, message),) = [(error["field"], error["message"]) for error in problem["errors"]]
        assert (field, message != "") == ("guest.email", True)
    gateway.act(hotel, booking, "cancel")


@pytest.mark.parametrize("email", ["Ann.O'Neil+inn@Example.COM", "jörg@example.com", "ann@bücher.example"])
def test_an_address_that_the_mailer_can_send_to_is_accepted_as_written(
    gateway: Gateway, hotel: str, email: str
) -> None:
    mailbox(email)
    booking = gateway.book(hotel, 5, **guest(email=email))
    assert booking["guest"]["email"] == email
    gateway.act(hotel, booking, "cancel")
