"""Letters that the mail server refuses, or at which it hangs: an address that takes no letters is reported once and not
tried again, and no letter holds up those to others."""

import pytest
from innkeeper.protocol.notifications.notices import NoticeKind
from innkeeper.protocol.ports.outbox import AddressReport, KeptBooking, OutboxChanges, SendFailed
from innkeeper.protocol.ports.subscriptions import Stalled
from support.mail_outbox import PAUSE_SECONDS, SECOND, MailOutbox, letter

REPLY = "550 5.1.1"
ADDRESS = "ann@example.com"


@pytest.fixture
def mail() -> MailOutbox:
    return MailOutbox()


def no_such_user() -> SendFailed:
    return SendFailed("mail.example:25: 550 5.1.1 no such user", permanent=True, reply=REPLY)


def mark(mail: MailOutbox, reply: str) -> None:
    """Keep the booking of all letters as notifications does after the event, marked with this reply."""
    mail.outbox.store(OutboxChanges(bookings={"b": KeptBooking("g-1", b"", reply)}))


def test_an_address_that_refuses_letters_is_reported_also_after_a_crash(mail: MailOutbox) -> None:
    mail.errors["1"] = [no_such_user()]
    mail.reservations_is_away = True
    mail.store_notices(letter("1", guest="g-1"), letter("2", "bo@example.com"))
    mail.send_due()
    assert (mail.delivered, mail.reports) == (["2"], [])
    assert [(dead.event, dead.attempts) for dead in mail.relay.dead_letters()] == [("1", 1)]
    assert mail.relay.state().lag == 1, "the event that follows from the report is still to come"
    mail.open()
    mail.send_due()
    mail.reservations_is_away = False
    due_at = mail.relay.due_at()
    assert due_at is not None
    mail.now = due_at
    mail.send_due()
    assert mail.reports == [AddressReport("1", "seaside", "g-1", "b", ADDRESS, "confirmation", REPLY)]
    assert (mail.relay.due_at(), mail.relay.state().lag) == (None, 0)
    mail.send_due()
    assert len(mail.reports) == 1


def test_letters_go_on_while_reservations_hangs(mail: MailOutbox) -> None:
    mail.errors["1"] = [no_such_user()]
    mail.reservations_hangs = True
    mail.store_notices(letter("1"))
    mail.send_due()
    mail.open()
    mail.store_notices(letter("2", "bo@example.com"))
    mail.send_due()
    assert (mail.delivered, mail.reports) == (["2"], [])
    mail.reservations_hangs = False
    mail.open()
    mail.send_due()
    assert [one.notice for one in mail.reports] == ["1"]


def test_a_hotel_that_fails_at_a_report_holds_up_no_report_of_another(
    mail: MailOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.actors.notifications.outbox_relay.address_reports_at_once_max", 1)
    mail.failing_hotels = {"seaside"}
    for id_, hotel in (("1", "seaside"), ("2", "seaside"), ("3", "hillside")):
        mail.errors[id_] = [no_such_user()]
        mail.store_notices(letter(id_, f"{id_}@example.com", hotel))
    mail.send_due()
    mail.send_due()
    assert [one.notice for one in mail.reports] == ["3"]
    assert mail.relay.state().lag == 2
    mail.failing_hotels.clear()
    due_at = mail.relay.due_at()
    assert due_at is not None
    mail.now = due_at
    mail.send_due()
    assert [one.notice for one in mail.reports] == ["3", "1", "2"]
    assert (mail.relay.due_at(), mail.relay.state().lag) == (None, 0)


def test_later_letters_of_a_marked_booking_are_shown_as_not_sent_and_not_tried(mail: MailOutbox) -> None:
    mark(mail, REPLY)
    mail.store_notices(letter("1"), letter("2", due_at=5 * SECOND))
    mail.send_due()
    mail.now = 5 * SECOND
    mail.send_due()
    assert (mail.attempted, mail.reports) == ([], [])
    assert [(dead.event, dead.attempts, REPLY in dead.reason) for dead in mail.relay.dead_letters()] == [
        ("1", 0, True), ("2", 0, True),
    ]  # fmt: skip
    mark(mail, "")
    mail.store_notices(letter("3"))
    mail.send_due()
    assert mail.delivered == ["3"]


def test_a_letter_that_is_redriven_is_tried_and_its_success_is_reported(mail: MailOutbox) -> None:
    mark(mail, REPLY)
    mail.store_notices(letter("1", guest="g-1"))
    mail.send_due()
    assert mail.relay.redrive("1", drop=False) is not None
    mail.errors["1"] = [SendFailed("451 later"), no_such_user()]
    mail.send_due()
    mail.now += PAUSE_SECONDS * SECOND
    mail.send_due()
    assert (mail.attempted, mail.reports) == (["1", "1"], []), "it is known already that the address refuses letters"
    assert mail.relay.redrive("1", drop=False) is not None
    mail.send_due()
    assert mail.delivered == ["1"]
    assert mail.reports == [AddressReport("1", "seaside", "g-1", "b", ADDRESS, "confirmation", "")]


def test_a_letter_to_the_hotel_itself_is_sent_and_its_refusal_marks_no_guest(mail: MailOutbox) -> None:
    mark(mail, REPLY)
    mail.errors["2"] = [no_such_user()]
    for id_ in "12":
        mail.store_notices(letter(id_, "desk@example.com", kind=NoticeKind.ADDRESS_REFUSED))
        mail.send_due()
    assert (mail.delivered, mail.reports) == (["1"], [])
    assert [dead.event for dead in mail.relay.dead_letters()] == ["2"]


def test_a_letter_at_which_the_server_hangs_does_not_hold_up_the_others(mail: MailOutbox) -> None:
    """It has an attempt less, and is tried after those to others; that nothing can be sent now is said all the same."""
    mail.errors["1"] = [SendFailed("no reply within 60 s", unreachable=True, at_letter=True) for _ in range(3)]
    mail.store_notices(letter("1"), letter("2"), letter("3", "bo@example.com"))
    with pytest.raises(Stalled, match="no reply"):
        mail.send_due()
    mail.send_due()
    assert mail.delivered == ["3"]
    for attempt in (1, 2):
        assert mail.relay.due_at() == mail.now + attempt * PAUSE_SECONDS * SECOND
        mail.now += attempt * PAUSE_SECONDS * SECOND
        with pytest.raises(Stalled, match="no reply"):
            mail.send_due()
    mail.now += 3 * PAUSE_SECONDS * SECOND
    mail.send_due()
    assert mail.delivered == ["3", "1", "2"]
