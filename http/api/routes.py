"""Every URL of the gateway: what it takes, what it answers, who handles it. The OpenAPI document is made from this."""

from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from innkeeper.http.api import billing, notifications, waitlist, webhooks
from innkeeper.http.api import reservations as handlers
from innkeeper.http.api import subscribers as billing_bus
from innkeeper.http.api.billing_resources import (
    BillingTermsResource,
    BillResource,
    InvoiceResource,
    PaymentResource,
    TrialBalanceResource,
)
from innkeeper.http.api.notifications import NotificationTermsResource
from innkeeper.http.api.parsing import (
    AuditRequest,
    AvailabilityQuestion,
    BookingFilter,
    LogPosition,
    Page,
    StreamQuestion,
    Window,
)
from innkeeper.http.api.resources import (
    AuditResource,
    AvailabilityResource,
    BookingResource,
    DeadLetterResource,
    Health,
    HotelResource,
    Listing,
    SubscriberResource,
    TapeChart,
)
from innkeeper.http.api.webhooks import (
    DeliveryFilter,
    DeliveryResource,
    EventName,
    NewSecret,
    ReplayStart,
    WebhookResource,
)
from innkeeper.protocol.billing.payments import PaymentNews
from innkeeper.protocol.billing.terms import BillingPlan
from innkeeper.protocol.codec.cloud_event import CloudEvent
from innkeeper.protocol.delivery.webhooks import WebhookChange, WebhookPlan
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations.commands import BookingChange, BookingRequest, HotelPlan
from innkeeper.protocol.reservations.waitlist import WaitlistRequest


class Operation(NamedTuple):
    """One method of one path. `query` and `body` are the forms of what it takes, `answer` of what it gives; an answer
    that is no form is the media type of something else."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    query: Any = None
    body: Any = None


_HOTEL = "/v1/hotels/{hotel}"
_BOOKINGS = _HOTEL + "/bookings"
_BOOKING = _BOOKINGS + "/{booking}"
_WAITLIST = _HOTEL + "/waitlist"
_WAITING = _WAITLIST + "/{booking}"
_FOLIO = _BOOKING + "/folio"
_PAYMENT = _HOTEL + "/payments/{payment}"
_INVOICE = _HOTEL + "/invoices/{number}"
_SUBSCRIBER = "/v1/subscribers/{subscriber}"
_WEBHOOK = "/v1/webhooks/{webhook}"
_DEAD_LETTER = "/v1/dead-letters/{subscriber}/{event}"
_ACTION = _BOOKING + "/actions/{action}"

# The router tries them in this order, so the busiest stand first.
OPERATIONS = (
    Operation("POST", _BOOKINGS, handlers.book, "Book a room, or hold it", BookingResource, 201, body=BookingRequest),
    Operation(
        "GET", _BOOKINGS, handlers.list_bookings, "The bookings, newest first", Listing[BookingResource],
        query=BookingFilter,
    ),
    Operation(
        "GET", _HOTEL + "/availability", handlers.show_availability, "What is left to sell", AvailabilityResource,
        query=AvailabilityQuestion,
    ),
    Operation("POST", "/v1/hotels", handlers.open_hotel, "Open a hotel", HotelResource, 201, body=HotelPlan),
    Operation("GET", "/v1/hotels", handlers.list_hotels, "All hotels", Listing[HotelResource], query=Page),
    Operation("GET", _HOTEL, handlers.show_hotel, "One hotel", HotelResource),
    Operation("GET", _BOOKING, handlers.show_booking, "One booking", BookingResource),
    Operation("PATCH", _BOOKING, handlers.change_booking, "Change a booking", BookingResource, body=BookingChange),
    Operation("GET", _BOOKING + "/history", handlers.show_history, "All events of a booking", Listing[CloudEvent]),
    Operation("POST", _ACTION, handlers.act_on_booking, "Act on a booking", BookingResource),
    Operation(
        "POST", _WAITLIST, waitlist.join_waitlist, "Wait for a stay that is sold out", waitlist.WaitlistResource, 201,
        body=WaitlistRequest,
    ),
    Operation(
        "GET", _WAITLIST, waitlist.list_waitlist, "Who waits, longest first", Listing[waitlist.WaitlistResource],
        query=Page,
    ),
    Operation(
        "GET", _WAITING, waitlist.show_entry, "One who waits; 303 to the booking once there is an offer",
        waitlist.WaitlistResource,
    ),
    Operation("DELETE", _WAITING, waitlist.leave_waitlist, "Wait no longer", waitlist.WaitlistResource),
    Operation(
        "GET", _HOTEL + "/tape-chart", handlers.show_tape_chart, "Rooms, nights and who has them", TapeChart,
        query=Window,
    ),
    Operation(
        "POST", _HOTEL + "/night-audit", handlers.audit_night, "Close the business date", AuditResource,
        body=AuditRequest,
    ),
    Operation("GET", _FOLIO, billing.show_bill, "What a booking owes, and has paid", BillResource),
    Operation(
        "POST", _BOOKING + "/folios", billing.open_folio, "Another folio, for who else pays", BillResource, 201,
        body=billing.NewFolio,
    ),
    Operation(
        "POST", _FOLIO + "/charges", billing.post_charge, "Charge something", BillResource, 201,
        body=billing.ChargeRequest,
    ),
    Operation(
        "POST", _FOLIO + "/charges/{line}/actions/reverse", billing.reverse_charge, "Take a charge back", BillResource,
        body=billing.Reason,
    ),
    Operation(
        "POST", _FOLIO + "/charges/{line}/actions/split", billing.split_charge, "Split a charge in two", BillResource,
        body=billing.Part,
    ),
    Operation(
        "POST", _FOLIO + "/actions/transfer", billing.move_charges, "Move charges to another folio", BillResource,
        body=billing.Transfer,
    ),
    Operation(
        "POST", _FOLIO + "/payments", billing.pay, "Pay, or ask a provider for the money", PaymentResource, 201,
        body=billing.PaymentRequest,
    ),
    Operation(
        "POST", "/v1/payment-providers/{provider}/notifications", billing.hear_of_payment,
        "A provider tells what became of a payment (signed: Standard Webhooks)", PaymentNews, body=PaymentNews,
    ),
    Operation("GET", _PAYMENT, billing.show_payment, "One payment", PaymentResource),
    Operation(
        "POST", _PAYMENT + "/actions/capture", billing.capture_payment, "Take what was reserved", PaymentResource,
        body=billing.Captured,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/void", billing.void_payment, "Let go of what was reserved", PaymentResource,
        body=billing.Voided,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/refund", billing.refund_payment, "Give money back", PaymentResource,
        body=billing.Refund,
    ),
    Operation(
        "POST", _BOOKING + "/invoices", billing.issue_invoice, "Invoice a folio", InvoiceResource, 201,
        body=billing.InvoiceRequest,
    ),
    Operation(
        "GET", _BOOKING + "/invoices", billing.list_booking_invoices, "The invoices of a booking",
        Listing[InvoiceResource], query=Page,
    ),
    Operation(
        "GET", _HOTEL + "/invoices", billing.list_invoices, "All invoices and credit notes, in their order",
        Listing[InvoiceResource], query=Page,
    ),
    Operation(
        "GET", _INVOICE, billing.show_invoice, "One invoice or credit note; as JSON, HTML or PDF", InvoiceResource,
        query=billing.DocumentForm,
    ),
    Operation(
        "POST", _INVOICE + "/actions/credit", billing.issue_credit_note, "Take a whole invoice back", InvoiceResource,
        201, body=billing.Reason,
    ),
    Operation(
        "GET", _HOTEL + "/billing", billing.show_billing_terms, "Seller, taxes, deposits and numbers",
        BillingTermsResource,
    ),
    Operation(
        "PUT", _HOTEL + "/billing", billing.change_billing_terms, "Bill on other terms from now on",
        BillingTermsResource, body=BillingPlan,
    ),
    Operation(
        "GET", _HOTEL + "/notifications", notifications.show_notification_terms, "How the hotel writes to its guests",
        NotificationTermsResource,
    ),
    Operation(
        "PUT", _HOTEL + "/notifications", notifications.change_notification_terms, "Write so from now on",
        NotificationTermsResource, body=NotificationTerms,
    ),
    Operation(
        "GET", _HOTEL + "/ledger", billing.show_trial_balance, "The accounts of a hotel, which add up to zero",
        TrialBalanceResource,
    ),
    Operation(
        "GET", "/v1/events", handlers.list_events, "The log of all events", Listing[CloudEvent], query=LogPosition
    ),
    Operation(
        "GET", "/v1/events/stream", handlers.stream_events, "All events as they happen", "text/event-stream",
        query=StreamQuestion,
    ),
    Operation(
        "GET", "/v1/subscribers", billing_bus.list_subscribers, "Who listens, and how far each has come",
        Listing[SubscriberResource],
    ),
    Operation(
        "POST", _SUBSCRIBER + "/actions/pause", billing_bus.pause_subscriber, "Take nothing in from now on",
        SubscriberResource,
    ),
    Operation(
        "POST", _SUBSCRIBER + "/actions/resume", billing_bus.resume_subscriber, "Go on where it was", SubscriberResource
    ),
    Operation(
        "GET", "/v1/dead-letters", billing_bus.list_dead_letters, "What a subscriber could not take in",
        Listing[DeadLetterResource],
    ),
    Operation(
        "POST", _DEAD_LETTER + "/actions/redrive", billing_bus.redrive_dead_letter, "Try a dead letter again",
        DeadLetterResource,
    ),
    Operation(
        "POST", _DEAD_LETTER + "/actions/drop", billing_bus.drop_dead_letter, "Go on without a dead letter",
        DeadLetterResource,
    ),
    Operation(
        "POST", "/v1/webhooks", webhooks.add_webhook, "Tell an endpoint of events from now on", WebhookResource, 201,
        body=WebhookPlan,
    ),
    Operation("GET", "/v1/webhooks", webhooks.list_webhooks, "All webhooks", Listing[WebhookResource]),
    Operation("GET", _WEBHOOK, webhooks.show_webhook, "One webhook", WebhookResource),
    Operation("PATCH", _WEBHOOK, webhooks.change_webhook, "Change a webhook", WebhookResource, body=WebhookChange),
    Operation("DELETE", _WEBHOOK, webhooks.remove_webhook, "Forget a webhook", WebhookResource),
    Operation("POST", _WEBHOOK + "/actions/enable", webhooks.enable_webhook, "Go on where it was", WebhookResource),
    Operation("POST", _WEBHOOK + "/actions/disable", webhooks.disable_webhook, "Send it nothing", WebhookResource),
    Operation(
        "POST", _WEBHOOK + "/actions/rotate-secret", webhooks.rotate_secret, "Sign with a new secret", WebhookResource,
        body=NewSecret,
    ),
    Operation("POST", _WEBHOOK + "/actions/ping", webhooks.ping_webhook, "Send a test event now", DeliveryResource),
    Operation(
        "POST", _WEBHOOK + "/actions/resend", webhooks.resend_event, "Send one event again now", DeliveryResource,
        body=EventName,
    ),
    Operation(
        "POST", _WEBHOOK + "/actions/replay", webhooks.replay_events, "Send all events from a position on again",
        WebhookResource, body=ReplayStart,
    ),
    Operation(
        "GET", _WEBHOOK + "/deliveries", webhooks.list_deliveries, "The latest attempts", Listing[DeliveryResource],
        query=DeliveryFilter,
    ),
    Operation("GET", "/health/live", handlers.show_live, "Does the process answer?", Health),
    Operation("GET", "/health/ready", handlers.show_ready, "Does it take bookings?", Health),
    Operation("GET", "/metrics", handlers.show_metrics, "Figures for Prometheus", "text/plain"),
    Operation("GET", "/openapi.json", handlers.show_openapi, "This description", "application/json"),
    Operation("GET", "/asyncapi.json", handlers.show_asyncapi, "All events of the broker", "application/json"),
    Operation("GET", "/docs", handlers.show_docs, "This description as a page", "text/html"),
    Operation("GET", "/", handlers.show_front_desk, "The front desk", "text/html"),
)  # fmt: skip

ROUTES = tuple(
    web.get(each.path, each.handler, allow_head=False)
    if each.method == "GET"
    else web.route(each.method, each.path, each.handler)
    for each in OPERATIONS
)
