"""Webhooks over HTTP: who is told what, in which order, signed how; and what comes of it when the other side is ill."""

import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from standardwebhooks.webhooks import Webhook
from support.gateway import Gateway, HttpResponse, assert_problem, gateway, path_of
from support.openapi_schemas import check_response
from support.waiting import wait_until
from support.webhook_receiver import WebhookReceiver, webhook_receiver

SECONDS_MAX = 15
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
DAY = 86_400


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A front desk of its own, that tries again soon."""
    monkeypatch.setattr("innkeeper.delivery.webhooks.webhooks.delay_seconds", lambda *_: 0.05)
    with gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[WebhookReceiver]:
    """The other side."""
    with webhook_receiver() as started:
        yield started


RESERVATIONS = [f"innkeeper.{kind}.*" for kind in ("hotel", "room_type", "room", "booking", "business_date")]


def add(front: Gateway, url: str, **more: Any) -> dict[str, Any]:
    """A new webhook, of all that happens in reservations where nothing else is said."""
    reply = front.post("/v1/webhooks", {"url": url, "events": RESERVATIONS} | more)
    assert reply.status == 201, reply
    check_response("add_webhook", reply)
    assert reply.headers["location"] == f"/v1/webhooks/{reply.json['id']}"
    return reply.json


def act(front: Gateway, webhook: dict[str, Any], action: str, **fields: Any) -> HttpResponse:
    """An action on a webhook, which answers as the document says."""
    reply = front.post(f"/v1/webhooks/{webhook['id']}/actions/{action}", fields)
    names = {
        "rotate-secret": "rotate_secret", "ping": "ping_webhook", "resend": "resend_event", "replay": "replay_events",
        "enable": "enable_webhook", "disable": "disable_webhook",
    }  # fmt: skip
    if reply.status == 200:
        check_response(names[action], reply)
    return reply


def shown(front: Gateway, webhook: dict[str, Any]) -> dict[str, Any]:
    """How it is now."""
    reply = front.get(f"/v1/webhooks/{webhook['id']}")
    check_response("show_webhook", reply)
    return reply.json


def deliveries(front: Gateway, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The attempts, newest first."""
    reply = front.get(f"/v1/webhooks/{webhook['id']}/deliveries", limit=200, **query)
    check_response("list_deliveries", reply)
    return reply.json["data"]


def events(front: Gateway, **query: Any) -> list[dict[str, Any]]:
    """The log."""
    return front.get("/v1/events", limit=200, **query).json["data"]


def test_what_happens_from_now_on_is_told_in_order_and_signed(front: Gateway, other: WebhookReceiver) -> None:
    front.book(front.open())
    before = front.position()
    webhook = add(front, other.url, secret=SECRET)
    assert webhook["secret"] == SECRET
    hotel = front.open()
    booking = front.book(hotel)
    front.act(hotel, booking, "pin")
    wait_until(lambda: len(other.taken) == front.position() - before, SECONDS_MAX)
    assert [taken.event for taken in other.taken] == events(front, after=before)
    for taken in other.taken:
        assert taken.headers["content-type"] == "application/cloudevents+json"
        assert taken.headers["webhook-id"] == taken.event["id"]
        check_signature(taken.headers, taken.body, SECRET)
    assert "secret" not in {name for name, value in shown(front, webhook).items() if value is not None}
    assert {one["delivered"] for one in deliveries(front, webhook)} == {True}


def test_what_billing_does_is_told_and_can_be_sent_again(front: Gateway, other: WebhookReceiver) -> None:
    hotel = front.open()
    front.everything()
    webhook = add(front, other.url, events=["innkeeper.folio.*", "innkeeper.payment.*"])
    booking = front.book(hotel)
    money = {"amount": "5.00", "currency": "EUR"}
    paid = front.post(f"{path_of(hotel, booking)}/folio/payments", {"method": "cash", "amount": money})
    assert paid.status == 201
    wait_until(lambda: len(other.taken) == 2, SECONDS_MAX)
    opened, recorded = events(front, log="billing")[-2:]
    assert [taken.event for taken in other.taken] == [opened, recorded]
    assert (recorded["type"], recorded["subject"]) == ("innkeeper.payment.recorded.v1", booking["id"])
    act(front, webhook, "resend", event=opened["id"])
    assert other.taken[-1].event == opened
    act(front, webhook, "replay", after=opened["position"] - 1, log="billing")
    wait_until(lambda: other.ids()[3:] == [opened["id"], recorded["id"]], SECONDS_MAX)


def check_signature(headers: dict[str, str], body: bytes, secret: str) -> None:
    """The reference library takes it; it looks at the clock of the machine, so its own part of the time is left out."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"])).astimezone()
    told = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
    assert told in headers["webhook-signature"].split()


def test_it_is_told_only_of_the_types_and_the_hotel_that_it_wished_for(front: Gateway, other: WebhookReceiver) -> None:
    mine, theirs = front.open(), front.open()
    add(front, other.url, events=["innkeeper.booking.cancelled.*"], hotel=mine.rpartition("/")[2])
    for hotel in (theirs, mine):
        front.act(hotel, front.book(hotel), "cancel")
    wait_until(lambda: bool(other.taken), SECONDS_MAX)
    front.act(mine, front.book(mine), "cancel")
    wait_until(lambda: len(other.taken) == 2, SECONDS_MAX)
    assert {(taken.event["source"], taken.event["type"]) for taken in other.taken} == {
        (mine.removeprefix("/v1"), "innkeeper.booking.cancelled.v1")
    }


def test_while_it_is_away_bookings_go_on_and_it_misses_nothing(front: Gateway, other: WebhookReceiver) -> None:
    hotel = front.open({"DBL": 9})
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/hook"
    before = front.position()
    webhook = add(front, url)
    for _ in range(5):
        front.book(hotel)
    wait_until(lambda: shown(front, webhook)["attempts"] >= 3, SECONDS_MAX)
    assert shown(front, webhook)["failing_since"] is not None
    failed = deliveries(front, webhook, failed="true")
    assert {(one["event"], one["status"], one["delivered"]) for one in failed} == {
        (events(front, after=before)[0]["id"], None, False)
    }
    assert failed[-1]["error"]
    assert front.send("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": other.url}).json["url"] == other.url
    wait_until(lambda: len(other.taken) == 5, SECONDS_MAX)
    assert [taken.event for taken in other.taken] == events(front, after=before)
    wait_until(lambda: shown(front, webhook)["failing_since"] is None, SECONDS_MAX)


@pytest.mark.parametrize("status", [500, 404, 302, 503])
def test_what_it_does_not_take_is_sent_again_with_the_same_id(
    front: Gateway, other: WebhookReceiver, status: int
) -> None:
    hotel = front.open()
    webhook = add(front, other.url)
    other.status = status
    front.book(hotel)
    wait_until(lambda: len(other.taken) >= 3, SECONDS_MAX)
    other.status = 200
    front.book(hotel)
    wait_until(lambda: deliveries(front, webhook)[0]["delivered"] and len(set(other.ids())) == 2, SECONDS_MAX)
    first, second = [told["id"] for told in events(front)[-2:]]
    assert other.ids() == [first] * other.ids().count(first) + [second]
    assert {taken.headers["webhook-id"] for taken in other.taken[:3]} == {first}
    told = deliveries(front, webhook)
    assert [one["attempt"] for one in told if one["event"] == first] == list(range(other.ids().count(first), 0, -1))
    assert told[-1]["status"] == status


def test_an_event_that_it_never_takes_is_given_up_and_the_later_ones_come(
    front: Gateway, other: WebhookReceiver
) -> None:
    hotel = front.open()
    webhook = add(front, other.url)
    other.refuses.add(f"{hotel.rpartition('/')[2]}:{events(front)[-1]['position'] + 1}")
    for _ in range(2):
        front.book(hotel)
    wait_until(lambda: len(set(other.ids())) == 2, SECONDS_MAX)
    (refused,) = other.refuses
    assert other.ids().count(refused) == limits.webhook_attempts_max
    (given_up,) = [one for one in deliveries(front, webhook) if one["given_up"]]
    assert (given_up["event"], given_up["status"], given_up["attempt"]) == (refused, 422, limits.webhook_attempts_max)
    other.refuses.clear()
    resent = act(front, webhook, "resend", event=refused)
    assert (resent.json["event"], resent.json["delivered"]) == (refused, True)
    assert other.taken[-1].headers["webhook-id"] == refused


def test_after_days_of_failure_it_is_disabled_and_goes_on_once_it_is_enabled(
    front: Gateway, other: WebhookReceiver
) -> None:
    hotel = front.open()
    webhook = add(front, other.url)
    other.status = 503
    front.book(hotel)
    wait_until(lambda: shown(front, webhook)["failing_since"] is not None, SECONDS_MAX)
    front.pass_seconds(limits.webhook_failing_seconds_max + 1)
    wait_until(lambda: shown(front, webhook)["disabled_at"] is not None, SECONDS_MAX)
    assert "5 days" in shown(front, webhook)["disabled_reason"]
    front.restart()
    other.status, seen = 200, len(other.taken)
    front.book(hotel)
    act(front, webhook, "ping")
    assert len(other.taken) == seen + 1
    enabled = act(front, webhook, "enable").json
    assert (enabled["disabled_at"], enabled["failing_since"], enabled["attempts"]) == (None, None, 0)
    wait_until(lambda: other.ids()[-1] == events(front)[-1]["id"], SECONDS_MAX)


def test_everybody_hears_that_a_webhook_is_disabled_and_enabled(front: Gateway, other: WebhookReceiver) -> None:
    with webhook_receiver() as ill:
        webhook = add(front, ill.url)
        add(front, other.url, events=["innkeeper.webhook.*"])
        ill.status = 410
        front.open()
        wait_until(lambda: len(other.taken) == 1, SECONDS_MAX)
        front.restart()
        ill.status = 204
        act(front, webhook, "enable")
        wait_until(lambda: len(other.taken) == 2, SECONDS_MAX)
        act(front, webhook, "enable")
    told = front.entries("/v1/events", log="delivery")
    assert [taken.event for taken in other.taken] == told
    assert [(event["id"], event["source"], event["type"], event["sequence"]) for event in told] == [
        ("delivery:_all:1", "/hotels/_all/delivery", "innkeeper.webhook.disabled.v1", "1"),
        ("delivery:_all:2", "/hotels/_all/delivery", "innkeeper.webhook.enabled.v1", "2"),
    ]
    assert told[0]["data"] == {
        "webhook": webhook["id"], "url": ill.url, "reason": "the endpoint answered 410 Gone",
    }  # fmt: skip


def test_who_says_that_it_is_gone_is_not_called_again(front: Gateway, other: WebhookReceiver) -> None:
    webhook = add(front, other.url)
    other.status = 410
    front.open()
    wait_until(lambda: shown(front, webhook)["disabled_at"] is not None, SECONDS_MAX)
    assert "410" in shown(front, webhook)["disabled_reason"]
    assert len(other.taken) == 1


def test_while_a_secret_is_replaced_both_sign_and_then_the_new_one_alone(
    front: Gateway, other: WebhookReceiver
) -> None:
    webhook = add(front, other.url)
    fresh = act(front, webhook, "rotate-secret").json["secret"]
    act(front, webhook, "ping")
    for secret in (webhook["secret"], fresh):
        check_signature(other.taken[-1].headers, other.taken[-1].body, secret)
    front.pass_seconds(DAY + 1)
    act(front, webhook, "ping")
    check_signature(other.taken[-1].headers, other.taken[-1].body, fresh)
    assert len(other.taken[-1].headers["webhook-signature"].split()) == 1
    assert act(front, webhook, "rotate-secret", secret=SECRET).json["secret"] == SECRET


def test_a_ping_tells_what_came_of_it(front: Gateway, other: WebhookReceiver) -> None:
    webhook = add(front, other.url)
    reply = act(front, webhook, "ping")
    assert (reply.json["delivered"], reply.json["status"]) == (True, 204)
    assert other.taken[-1].event["type"] == "innkeeper.webhook.pinged.v1"
    other.status = 500
    reply = act(front, webhook, "ping")
    assert (reply.json["delivered"], reply.json["status"]) == (False, 500)
    assert reply.json["error"]


def test_a_replay_tells_everything_again_from_there_on(front: Gateway, other: WebhookReceiver) -> None:
    hotel = front.open()
    webhook = add(front, other.url)
    front.book(hotel)
    wait_until(lambda: len(other.taken) == 1, SECONDS_MAX)
    act(front, webhook, "replay", after=2)
    wait_until(lambda: len(other.taken) == 1 + front.position() - 2, SECONDS_MAX)
    assert [taken.event for taken in other.taken[1:]] == events(front, after=2)
    problem = act(front, webhook, "replay", after=10**9)
    assert_problem(problem, 422, "invalid", "after", "range")


def test_a_disabled_webhook_gets_nothing_and_one_that_is_removed_is_forgotten(
    front: Gateway, other: WebhookReceiver
) -> None:
    hotel = front.open()
    kept, removed = add(front, other.url), add(front, other.url)
    assert act(front, kept, "disable").json["disabled_reason"] == "by hand"
    reply = front.send("DELETE", f"/v1/webhooks/{removed['id']}")
    check_response("remove_webhook", reply)
    front.book(hotel)
    assert_problem(front.get(f"/v1/webhooks/{removed['id']}"), 404, "not_found")
    assert [one["id"] for one in front.get("/v1/webhooks").json["data"]] == [kept["id"]]
    names = [one["name"] for one in front.get("/v1/subscribers").json["data"]]
    assert [name for name in names if name.startswith("webhook-")] == [f"webhook-{kept['id']}"]
    front.restart()
    assert [one["id"] for one in front.get("/v1/webhooks").json["data"]] == [kept["id"]]
    act(front, kept, "enable")
    wait_until(lambda: len(other.taken) == 1, SECONDS_MAX)


def test_it_goes_on_where_it_was_after_a_restart(front: Gateway, other: WebhookReceiver) -> None:
    hotel = front.open()
    webhook = add(front, other.url)
    before = front.position()
    for _ in range(3):
        front.book(hotel)
        front.restart()
    wait_until(lambda: len(other.taken) == 3, SECONDS_MAX)
    assert [taken.event for taken in other.taken] == events(front, after=before)
    assert [one["attempt"] for one in deliveries(front, webhook)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"url": "ftp://127.0.0.1/"}, "url", "scheme"),
        ({"url": "http://10.0.0.1/"}, "url", "address"),
        ({"url": "http://127.0.0.1/" + "a" * 2_000}, "url", "length"),
        ({"url": ""}, "url", "length"),
        ({"events": []}, "events", "length"),
        ({"events": ["innkeeper.nothing.*"]}, "events", "unknown"),
        ({"events": ["*"] * 51}, "events", "length"),
        ({"hotel": "no slug"}, "hotel", "form"),
        ({"secret": "password"}, "secret", "prefix"),
        ({"secret": "whsec_c2hvcnQ="}, "secret", "length"),
        ({"more": 1}, "more", "unknown"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused(front: Gateway, fields: dict[str, Any], field: str, rule: str) -> None:
    body = {"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"]} | fields
    assert_problem(front.post("/v1/webhooks", body), 422, "invalid", field, rule)
    assert front.get("/v1/webhooks").json["data"] == []


def test_a_webhook_is_of_a_hotel_that_is_open(front: Gateway, other: WebhookReceiver) -> None:
    body = {"url": other.url, "events": ["innkeeper.*"], "hotel": "inn"}
    key = {"Idempotency-Key": "inn-1"}
    problem = assert_problem(front.post("/v1/webhooks", body, key), 404, "not_found")
    assert (problem["kind"], problem["name"]) == ("hotel", "inn")
    assert front.get("/v1/webhooks").json["data"] == []
    path = f"/v1/webhooks/{add(front, other.url)['id']}"
    assert_problem(front.send("PATCH", path, {"hotel": "inn"}), 404, "not_found")
    assert front.get(path).json["hotel"] is None
    front.open(id="inn")
    assert front.post("/v1/webhooks", body, key).json["hotel"] == "inn"
    assert front.send("PATCH", path, {"hotel": "inn"}).json["hotel"] == "inn"
    assert front.send("PATCH", path, {"hotel": None}).json["hotel"] is None


def test_what_is_not_there_or_too_much_is_refused(
    front: Gateway, other: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = add(front, other.url)
    for event in ("none:1", "x", ":", "none:0", "a:99999999999999999999", "a:1:2", "é:1"):
        assert_problem(act(front, webhook, "resend", event=event), 404, "not_found")
    assert_problem(
        front.get(f"/v1/webhooks/{webhook['id']}/deliveries", cursor="x"), 422, "invalid", "cursor", "unknown"
    )
    for action in ("enable", "disable", "ping", "rotate-secret"):
        assert_problem(act(front, {"id": "none"}, action), 404, "not_found")
    assert_problem(
        front.send("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": "http://192.168.0.1/"}),
        422,
        "invalid",
        "url",
        "address",
    )
    assert shown(front, webhook)["url"] == other.url
    monkeypatch.setattr("innkeeper.delivery.webhooks.webhooks.webhooks_max", 1)
    body = {"url": other.url, "events": ["innkeeper.*"]}
    refused = assert_problem(front.post("/v1/webhooks", body), 409, "not_allowed")
    assert refused["detail"] == "1 webhooks are the maximum; remove one first"


def test_attempts_are_listed_page_by_page_and_the_oldest_are_forgotten(
    front: Gateway, other: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.storage.sqlite.webhook_store.webhook_deliveries_kept_max", 5)
    monkeypatch.setattr("innkeeper.storage.sqlite.webhook_store._DELETE_EVERY", 1)
    webhook = add(front, other.url)
    for _ in range(8):
        act(front, webhook, "ping")
    listed = front.entries(f"/v1/webhooks/{webhook['id']}/deliveries", limit=2)
    assert [one["number"] for one in listed] == [8, 7, 6, 5, 4]


def test_only_with_leave_do_webhooks_go_to_this_machine(tmp_path: Path, other: WebhookReceiver) -> None:
    with gateway(tmp_path, webhooks_to_loopback=False) as front:
        body = {"url": other.url, "events": ["innkeeper.*"]}
        assert_problem(front.post("/v1/webhooks", body), 422, "invalid", "url", "address")
    assert other.taken == []
