"""The transitions of a payment as a table: which event leads from which status to which.

A provider may report an outcome twice, late, or out of order: what has no transition is outdated and changes nothing. A
captured payment counts whatever was reported before, because the hotel can refund only what it has recorded.
"""

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.payment import PaymentStatus
from innkeeper.protocol.messages.event import Event

# (status, event) → the next status. A new payment has no status yet: one that is recorded at once was made by hand. A
# refund leads to its status when the whole captured amount is refunded; a smaller one keeps the status. One
# that failed leads back, where the whole amount was refunded.
PAYMENT_TRANSITIONS: dict[tuple[PaymentStatus | None, type[Event]], PaymentStatus] = {
    (None, events.PaymentStarted): PaymentStatus.PENDING,
    (None, events.PaymentRecorded): PaymentStatus.CAPTURED,
    (PaymentStatus.PENDING, events.PaymentAuthorised): PaymentStatus.AUTHORISED,
    (PaymentStatus.PENDING, events.PaymentRecorded): PaymentStatus.CAPTURED,
    (PaymentStatus.PENDING, events.PaymentFailed): PaymentStatus.FAILED,
    (PaymentStatus.PENDING, events.PaymentVoided): PaymentStatus.VOIDED,
    (PaymentStatus.AUTHORISED, events.PaymentRecorded): PaymentStatus.CAPTURED,
    (PaymentStatus.AUTHORISED, events.PaymentFailed): PaymentStatus.FAILED,
    (PaymentStatus.AUTHORISED, events.PaymentVoided): PaymentStatus.VOIDED,
    (PaymentStatus.FAILED, events.PaymentRecorded): PaymentStatus.CAPTURED,
    (PaymentStatus.VOIDED, events.PaymentRecorded): PaymentStatus.CAPTURED,
    (PaymentStatus.CAPTURED, events.PaymentRefunded): PaymentStatus.REFUNDED,
    (PaymentStatus.CAPTURED, events.PaymentReturned): PaymentStatus.RETURNED,
    (PaymentStatus.REFUNDED, events.PaymentReturned): PaymentStatus.RETURNED,
    (PaymentStatus.RETURNED, events.PaymentRefunded): PaymentStatus.RETURNED,
    (PaymentStatus.REFUNDED, events.PaymentRefundFailed): PaymentStatus.CAPTURED,
}

# The events that leave the status of a payment as it is, whatever it is.
KEEPING_STATUS: frozenset[type[Event]] = frozenset(
    {
        events.PaymentActionRequired,
        events.PaymentOperationRequested,
        events.PaymentOperationRefused,
        events.PaymentChargedBack,
        events.PaymentChargebackClosed,
        events.PaymentNewsKept,
    }
)

# The actions of staff by the status in which they are allowed, and the event that records that they have happened.
# Staff captures only what is authorised, and refunds in several steps.
ACTIONS: dict[tuple[PaymentStatus, str], type[Event]] = {
    (PaymentStatus.PENDING, "void"): events.PaymentVoided,
    (PaymentStatus.AUTHORISED, "capture"): events.PaymentRecorded,
    (PaymentStatus.AUTHORISED, "void"): events.PaymentVoided,
    (PaymentStatus.CAPTURED, "refund"): events.PaymentRefunded,
    (PaymentStatus.CAPTURED, "return"): events.PaymentReturned,
}
