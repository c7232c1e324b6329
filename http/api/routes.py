"""The table of the gateway's routes, each with its parameters, body, response and handler. The OpenAPI document is
generated from it."""

from typing import Any, NamedTuple

from aiohttp.typedefs import Handler
from innkeeper.http.api import (
    actions,
    billing,
    booking_lists,
    guests,
    hotels,
    invoices,
    night_audit,
    notifications,
    rooms,
    subscribers,
    waitlist,
    webhooks,
)
from innkeeper.http.api import reservations as handlers
from innkeeper.http.api.billing_resources import (
    BillingTermsResource,
    BillResource,
    OpenBalanceResource,
    PaymentResource,
    TrialBalanceResource,
)
from innkeeper.http.api.documents import MEDIA
from innkeeper.http.api.invoice_resources import InvoiceResource
from innkeeper.http.api.notifications import NotificationTermsResource
from innkeeper.http.api.parsing import (
    AvailabilityQuery,
    BookingsQuery,
    DryRunQuery,
    EventsQuery,
    NightAuditQuery,
    NightAuditRequest,
    NightsQuery,
    PageQuery,
    StreamQuery,
)
from innkeeper.http.api.resources import (
    AvailabilityResource,
    BookingResource,
    ClosureResource,
    DeadLetterResource,
    Health,
    HotelResource,
    KnownRoomTypeResource,
    ListPage,
    SubscriberResource,
    TapeChart,
)
from innkeeper.http.api.webhooks import (
    DeliveriesQuery,
    DeliveryResource,
    ReplayRequest,
    ResendRequest,
    SecretRequest,
    WebhookResource,
)
from innkeeper.protocol.billing.payments import PaymentUpdate
from innkeeper.protocol.billing.terms import BillingTermsRequest
from innkeeper.protocol.codec.cloud_event import CloudEvent
from innkeeper.protocol.delivery.webhooks import WebhookChange, WebhookRequest
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations.hotel_requests import (
    ClosureChange,
    ClosureRequest,
    HotelChange,
    RoomAddition,
    RoomChange,
    RoomTypeAddition,
    RoomTypeChange,
)
from innkeeper.protocol.reservations.requests import (
    BookingChange,
    BookingRequest,
    HotelRequest,
    WaitlistChange,
    WaitlistRequest,
)


class Operation(NamedTuple):
    """One method of one path. `query`, `body` and `answer` are the types of the query string, the request body and the
    response; an `answer` that is text is the media type of a response that is not JSON of a type. `media` are the types
    of its other formats. All methods but GET take an `Idempotency-Key`, except where `repeatable` says what makes a
    repetition harmless without one."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    query: Any = None
    body: Any = None
    repeatable: str = ""
    media: tuple[str, ...] = ()

    @property
    def takes_key(self) -> bool:
        """Whether the operation takes an `Idempotency-Key`."""
        return self.method != "GET" and not self.repeatable


_HOTEL = "/v1/hotels/{hotel}"
_TYPES = _HOTEL + "/room-types"
_TYPE = _TYPES + "/{code}"
_ROOMS = _HOTEL + "/rooms"
_ROOM = _ROOMS + "/{room}"
_CLOSURES = _ROOM + "/closures"
_CLOSURE = _CLOSURES + "/{closure}"
_BOOKINGS = _HOTEL + "/bookings"
_BOOKING = _BOOKINGS + "/{booking}"
_GUEST = _HOTEL + "/guests/{guest}"
_WAITLIST = _HOTEL + "/waitlist"
_WAITING = _WAITLIST + "/{booking}"
_FOLIO = _BOOKING + "/folio"
_PAYMENT = _HOTEL + "/payments/{payment}"
_INVOICE = _HOTEL + "/invoices/{number}"
_SUBSCRIBER = "/v1/subscribers/{subscriber}"
_WEBHOOK = "/v1/webhooks/{webhook}"
_DEAD_LETTER = "/v1/dead-letters/{subscriber}/{event}"
_ACTION = _BOOKING + "/actions/{action}"

# The router tries them in this order, so the most frequent come first.
OPERATIONS = (
    Operation(
        "POST", _BOOKINGS, handlers.book, "Book or hold a room", BookingResource, 201, query=DryRunQuery,
        body=BookingRequest,
    ),
    Operation(
        "GET", _BOOKINGS, booking_lists.list_bookings, "List the bookings, newest first", ListPage[BookingResource],
        query=BookingsQuery,
    ),
    Operation(
        "GET", _HOTEL + "/availability", handlers.show_availability, "Show the rooms left for a stay",
        AvailabilityResource, query=AvailabilityQuery,
    ),
    Operation("POST", "/v1/hotels", hotels.open_hotel, "Open a hotel", HotelResource, 201, body=HotelRequest),
    Operation("GET", "/v1/hotels", hotels.list_hotels, "List all hotels", ListPage[HotelResource], query=PageQuery),
    Operation("GET", _HOTEL, hotels.show_hotel, "Show a hotel", HotelResource),
    Operation(
        "PATCH", _HOTEL, hotels.change_hotel, "Change a hotel: name, hours, terms of sale",
        HotelResource, body=HotelChange,
    ),
    Operation(
        "POST", _TYPES, hotels.add_room_type, "Add a room type", KnownRoomTypeResource, 201, body=RoomTypeAddition,
    ),
    Operation("GET", _TYPES, hotels.list_room_types, "List the room types", ListPage[KnownRoomTypeResource]),
    Operation("GET", _TYPE, hotels.show_room_type, "Show a room type", KnownRoomTypeResource),
    Operation(
        "PATCH", _TYPE, hotels.change_room_type, "Change a room type: name, rate, capacity", KnownRoomTypeResource,
        body=RoomTypeChange,
    ),
    Operation("DELETE", _TYPE, hotels.retire_room_type, "Retire a room type and its rooms", KnownRoomTypeResource),
    Operation("POST", _ROOMS, rooms.add_room, "Add a room", rooms.RoomResource, 201, body=RoomAddition),
    Operation(
        "GET", _ROOMS, rooms.list_rooms, "List the rooms with their state", ListPage[rooms.RoomResource],
        query=PageQuery,
    ),
    Operation("GET", _ROOM, rooms.show_room, "Show a room", rooms.RoomResource),
    Operation(
        "PATCH", _ROOM, rooms.change_room, "Say that a room is dirty, clean or inspected", rooms.RoomResource,
        body=RoomChange,
    ),
    Operation("DELETE", _ROOM, rooms.retire_room, "Retire a room", rooms.RoomResource),
    Operation(
        "POST", _CLOSURES, rooms.close_room, "Take a room out of order or out of service", ClosureResource, 201,
        body=ClosureRequest,
    ),
    Operation(
        "GET", _CLOSURES, rooms.list_closures, "List a room's closures that are not over",
        ListPage[ClosureResource],
    ),
    Operation("GET", _CLOSURE, rooms.show_closure, "Show a closure", ClosureResource),
    Operation(
        "PATCH", _CLOSURE, rooms.change_closure, "End or begin a closure on another day", ClosureResource,
        body=ClosureChange,
    ),
    Operation("DELETE", _CLOSURE, rooms.reopen_room, "End a closure now", ClosureResource),
    Operation(
        "GET", _HOTEL + "/housekeeping", rooms.list_housekeeping, "List the rooms for housekeeping",
        ListPage[rooms.HousekeepingResource], query=PageQuery,
    ),
    Operation("GET", _BOOKING, handlers.show_booking, "Show a booking", BookingResource),
    Operation(
        "PATCH", _BOOKING, handlers.change_booking, "Change a booking", BookingResource, query=DryRunQuery,
        body=BookingChange,
    ),
    Operation("GET", _BOOKING + "/history", handlers.show_history, "List a booking's events", ListPage[CloudEvent]),
    Operation(
        "GET", _BOOKING + "/letters", notifications.list_unsent_letters, "List a booking's letters that are not sent",
        notifications.UnsentLettersResource,
    ),
    Operation("POST", _ACTION, actions.act_on_booking, "Act on a booking", BookingResource, query=DryRunQuery),
    Operation("GET", _GUEST, guests.show_guest, "Show a guest", guests.KnownGuestResource),
    Operation("DELETE", _GUEST, guests.forget_guest, "Forget a guest", guests.ForgottenGuest, 202),
    Operation(
        "POST", _WAITLIST, waitlist.join_waitlist, "Join the waitlist for a stay that is sold out",
        waitlist.WaitlistResource, 201, body=WaitlistRequest,
    ),
    Operation(
        "GET", _WAITLIST, waitlist.list_waitlist, "List the waitlist, longest wait first",
        ListPage[waitlist.WaitlistResource], query=PageQuery,
    ),
    Operation(
        "GET", _WAITING, waitlist.show_entry, "Show a waitlist entry; 303 to the booking once there is an offer",
        waitlist.WaitlistResource,
    ),
    Operation(
        "PATCH", _WAITING, waitlist.change_entry, "Change a waitlist entry", waitlist.WaitlistResource,
        body=WaitlistChange,
    ),
    Operation("DELETE", _WAITING, waitlist.leave_waitlist, "Leave the waitlist", waitlist.WaitlistResource),
    Operation(
        "GET", _HOTEL + "/tape-chart", handlers.show_tape_chart, "Show the tape chart: rooms, nights and bookings",
        TapeChart, query=NightsQuery,
    ),
    Operation(
        "POST", _HOTEL + "/night-audit", night_audit.audit_night, "Close the business date",
        night_audit.NightAuditResource,
        body=NightAuditRequest, query=NightAuditQuery,
    ),
    Operation(
        "GET", _FOLIO, billing.show_bill, "Show the bill of a booking: charges, payments and balance", BillResource,
    ),
    Operation(
        "POST", _BOOKING + "/folios", billing.open_folio, "Open another folio, for another payer", BillResource, 201,
        body=billing.FolioRequest,
    ),
    Operation(
        "POST", _FOLIO + "/charges", billing.post_charge, "Post a charge", BillResource, 201,
        body=billing.ChargeRequest,
    ),
    Operation(
        "POST", _FOLIO + "/charges/{line}/actions/reverse", billing.reverse_charge, "Reverse a charge", BillResource,
        body=billing.ReasonRequest,
    ),
    Operation(
        "POST", _FOLIO + "/charges/{line}/actions/split", billing.split_charge, "Split a charge in two", BillResource,
        body=billing.SplitRequest,
    ),
    Operation(
        "POST", _FOLIO + "/actions/transfer", billing.move_charges, "Move charges to another folio", BillResource,
        body=billing.TransferRequest,
    ),
    Operation(
        "POST", _FOLIO + "/payments", billing.pay, "Record a payment, or start one with a provider", PaymentResource,
        201, body=billing.PaymentRequest,
    ),
    Operation(
        "POST", "/v1/payment-providers/{provider}/notifications", billing.receive_payment_notification,
        "Receive a provider's notification of a payment (signed: Standard Webhooks)", PaymentUpdate, body=PaymentUpdate,
        repeatable="a payment has one outcome, so that the same notification again changes nothing",
    ),
    Operation("GET", _PAYMENT, billing.show_payment, "Show a payment", PaymentResource),
    Operation(
        "POST", _PAYMENT + "/actions/capture", billing.capture_payment, "Capture an authorised payment",
        PaymentResource, body=billing.CaptureRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/void", billing.void_payment, "Void an authorised payment", PaymentResource,
        body=billing.VoidRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/refund", billing.refund_payment, "Refund a payment", PaymentResource,
        body=billing.RefundRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/move", billing.move_payment, "Move a payment to another folio", PaymentResource,
        body=billing.PaymentMoveRequest,
    ),
    Operation(
        "POST", _BOOKING + "/invoices", invoices.issue_invoice, "Issue an invoice for a folio", InvoiceResource, 201,
        body=invoices.InvoiceRequest,
    ),
    Operation(
        "POST", _BOOKING + "/deposit-invoices", invoices.issue_deposit_invoice, "Invoice what was paid before the stay",
        InvoiceResource, 201, body=invoices.DepositInvoiceRequest,
    ),
    Operation(
        "GET", _BOOKING + "/invoices", invoices.list_booking_invoices, "List the invoices of a booking",
        ListPage[InvoiceResource], query=PageQuery,
    ),
    Operation(
        "GET", _HOTEL + "/invoices", invoices.list_invoices, "List all invoices and credit notes, in their order",
        ListPage[InvoiceResource], query=PageQuery,
    ),
    Operation(
        "GET", _INVOICE, invoices.show_invoice, "Show an invoice or credit note as data or as a document",
        InvoiceResource, query=invoices.DocumentFormat, media=MEDIA,
    ),
    Operation(
        "POST", _INVOICE + "/actions/credit", invoices.issue_credit_note, "Credit an invoice, or lines of it",
        InvoiceResource, 201, body=invoices.CreditRequest,
    ),
    Operation(
        "POST", _INVOICE + "/actions/reissue", invoices.reissue_invoice, "Credit an invoice, issue it to another buyer",
        InvoiceResource, 201, body=invoices.ReissueRequest,
    ),
    Operation(
        "GET", _HOTEL + "/billing", billing.show_billing_terms, "Show the seller and the document numbers",
        BillingTermsResource,
    ),
    Operation(
        "PUT", _HOTEL + "/billing", billing.change_billing_terms, "Change the billing terms",
        BillingTermsResource, body=BillingTermsRequest,
    ),
    Operation(
        "GET", _HOTEL + "/notifications", notifications.show_notification_terms,
        "Show the notification terms of a hotel", NotificationTermsResource,
    ),
    Operation(
        "PUT", _HOTEL + "/notifications", notifications.change_notification_terms,
        "Change the notification terms of a hotel", NotificationTermsResource, body=NotificationTerms,
    ),
    Operation(
        "GET", _HOTEL + "/open-balances", billing.list_open_balances,
        "List the stays that are over, or were not made, and for which something is owed",
        ListPage[OpenBalanceResource], query=PageQuery,
    ),
    Operation(
        "GET", _HOTEL + "/ledger", billing.show_trial_balance, "Show the trial balance of a hotel",
        TrialBalanceResource,
    ),
    Operation(
        "GET", "/v1/events", handlers.list_events, "List the events of a log", ListPage[CloudEvent], query=EventsQuery
    ),
    Operation(
        "GET", "/v1/events/stream", handlers.stream_events, "Stream events as they are recorded", "text/event-stream",
        query=StreamQuery,
    ),
    Operation(
        "GET", "/v1/subscribers", subscribers.list_subscribers, "List the subscribers and their positions",
        ListPage[SubscriberResource],
    ),
    Operation(
        "POST", _SUBSCRIBER + "/actions/pause", subscribers.pause_subscriber, "Pause a subscriber",
        SubscriberResource,
    ),
    Operation(
        "POST", _SUBSCRIBER + "/actions/resume", subscribers.resume_subscriber, "Resume a subscriber",
        SubscriberResource
    ),
    Operation(
        "GET", "/v1/dead-letters", subscribers.list_dead_letters, "List the dead letters of all subscribers",
        ListPage[DeadLetterResource],
    ),
    Operation(
        "POST", _DEAD_LETTER + "/actions/redrive", subscribers.redrive_dead_letter, "Redrive a dead letter",
        DeadLetterResource,
    ),
    Operation(
        "POST", _DEAD_LETTER + "/actions/drop", subscribers.drop_dead_letter, "Drop a dead letter",
        DeadLetterResource,
    ),
    Operation(
        "POST", "/v1/webhooks", webhooks.add_webhook, "Add a webhook, which gets the events from now on",
        WebhookResource, 201, body=WebhookRequest,
    ),
    Operation("GET", "/v1/webhooks", webhooks.list_webhooks, "List all webhooks", ListPage[WebhookResource]),
    Operation("GET", _WEBHOOK, webhooks.show_webhook, "Show a webhook", WebhookResource),
    Operation("PATCH", _WEBHOOK, webhooks.change_webhook, "Change a webhook", WebhookResource, body=WebhookChange),
    Operation("DELETE", _WEBHOOK, webhooks.remove_webhook, "Remove a webhook", WebhookResource),
    Operation("POST", _WEBHOOK + "/actions/enable", webhooks.enable_webhook, "Enable a webhook again", WebhookResource),
    Operation("POST", _WEBHOOK + "/actions/disable", webhooks.disable_webhook, "Disable a webhook", WebhookResource),
    Operation(
        "POST", _WEBHOOK + "/actions/rotate-secret", webhooks.rotate_secret, "Replace the secret of a webhook",
        WebhookResource, body=SecretRequest,
    ),
    Operation("POST", _WEBHOOK + "/actions/ping", webhooks.ping_webhook, "Send a test event now", DeliveryResource),
    Operation(
        "POST", _WEBHOOK + "/actions/resend", webhooks.resend_event, "Send an event again now", DeliveryResource,
        body=ResendRequest,
    ),
    Operation(
        "POST", _WEBHOOK + "/actions/replay", webhooks.replay_events, "Send all events after a position again",
        WebhookResource, body=ReplayRequest,
    ),
    Operation(
        "GET", _WEBHOOK + "/deliveries", webhooks.list_deliveries, "List the latest deliveries",
        ListPage[DeliveryResource], query=DeliveriesQuery,
    ),
    Operation("GET", "/health/live", handlers.show_live, "Check that the process is alive", Health),
    Operation("GET", "/health/ready", handlers.show_ready, "Check that bookings are accepted", Health),
    Operation("GET", "/metrics", handlers.show_metrics, "Show the metrics for Prometheus", "text/plain"),
    Operation("GET", "/openapi.json", handlers.show_openapi, "Get this OpenAPI document", "application/json"),
    Operation(
        "GET", "/asyncapi.json", handlers.show_asyncapi, "Get the AsyncAPI document of all events", "application/json",
    ),
    Operation("GET", "/docs", handlers.show_docs, "Show this document as a page", "text/html"),
    Operation("GET", "/", handlers.show_front_desk, "Show the front desk page", "text/html"),
)  # fmt: skip
