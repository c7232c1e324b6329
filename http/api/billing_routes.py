"""The table of the routes of billing: bills, payments, invoices and the ledger."""

from innkeeper.http.api import billing, invoices, payments
from innkeeper.http.api.billing_resources import (
    BillingTermsResource,
    BillResource,
    OpenBalanceResource,
    PaymentNotificationResource,
    PaymentResource,
    TrialBalanceResource,
)
from innkeeper.http.api.documents import MEDIA
from innkeeper.http.api.invoice_resources import InvoiceResource
from innkeeper.http.api.operation import BOOKING, HOTEL, Operation
from innkeeper.http.api.parsing import PageQuery
from innkeeper.http.api.resources import ListPage
from innkeeper.protocol.billing.payments import PaymentUpdate
from innkeeper.protocol.billing.terms import BillingTermsRequest

_FOLIO = BOOKING + "/folio"
_PAYMENT = HOTEL + "/payments/{payment}"
_INVOICE = HOTEL + "/invoices/{number}"

BILLING_OPERATIONS = (
    Operation(
        "GET", _FOLIO, billing.show_bill, "Show the bill of a booking: charges, payments and balance", BillResource,
    ),
    Operation(
        "POST", BOOKING + "/folios", billing.open_folio, "Open another folio, for another payer", BillResource, 201,
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
        "POST", _FOLIO + "/discounts", billing.post_discount, "Lower what is charged, for a reason or with a voucher",
        BillResource, 201, body=billing.DiscountRequest,
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
        "POST", _FOLIO + "/payments", payments.pay, "Record a payment, or start one with a provider", PaymentResource,
        201, body=payments.PaymentRequest,
    ),
    Operation(
        "POST", "/v1/payment-providers/{provider}/notifications", payments.receive_payment_notification,
        "Receive a provider's signed notification of a payment", PaymentNotificationResource, body=PaymentUpdate,
        repeatable="what is reported has ids, so that the same notification again changes nothing",
    ),
    Operation("GET", _PAYMENT, payments.show_payment, "Show a payment", PaymentResource),
    Operation(
        "POST", _PAYMENT + "/actions/capture", payments.capture_payment, "Capture an authorised payment",
        PaymentResource, body=payments.CaptureRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/void", payments.void_payment, "Void an authorised payment", PaymentResource,
        body=payments.VoidRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/refund", payments.refund_payment, "Refund a payment", PaymentResource,
        body=payments.RefundRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/return", payments.return_payment, "Record that the bank has returned a payment",
        PaymentResource, body=payments.RefundRequest,
    ),
    Operation(
        "POST", _PAYMENT + "/actions/move", payments.move_payment, "Move a payment to another folio", PaymentResource,
        body=payments.PaymentMoveRequest,
    ),
    Operation(
        "POST", BOOKING + "/invoices", invoices.issue_invoice, "Issue an invoice for a folio", InvoiceResource, 201,
        body=invoices.InvoiceRequest,
    ),
    Operation(
        "POST", BOOKING + "/deposit-invoices", invoices.issue_deposit_invoice, "Invoice what was paid before the stay",
        InvoiceResource, 201, body=invoices.DepositInvoiceRequest,
    ),
    Operation(
        "GET", BOOKING + "/invoices", invoices.list_booking_invoices, "List the invoices of a booking",
        ListPage[InvoiceResource], query=PageQuery,
    ),
    Operation(
        "GET", HOTEL + "/invoices", invoices.list_invoices, "List all invoices and credit notes, in their order",
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
        "GET", HOTEL + "/billing", billing.show_billing_terms, "Show the seller and the document numbers",
        BillingTermsResource,
    ),
    Operation(
        "PUT", HOTEL + "/billing", billing.change_billing_terms, "Change the billing terms",
        BillingTermsResource, body=BillingTermsRequest,
    ),
    Operation(
        "GET", HOTEL + "/open-balances", billing.list_open_balances,
        "List the stays for which something is owed after their end, or was paid too much",
        ListPage[OpenBalanceResource], query=billing.OpenBalancesQuery,
    ),
    Operation(
        "GET", HOTEL + "/ledger", billing.show_trial_balance, "Show the trial balance of a hotel",
        TrialBalanceResource,
    ),
)  # fmt: skip
