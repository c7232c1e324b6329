"""Which payment providers an installation has, and what they need: Stripe's library is an extra."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec

from innkeeper.protocol.billing.payments import Provider
from yarl import URL


def check_stripe(key: str, webhook_secret: str, url: str) -> None:
    """Raises ValueError where a Stripe account is not given whole, or its library is missing."""
    if not key:
        if webhook_secret or url:
            raise ValueError("the secret key of the account is missing")
        return
    if not key.startswith(("sk_", "rk_")):
        raise ValueError("expected a secret key, sk_… or rk_…")
    if not webhook_secret.startswith("whsec_"):
        raise ValueError("--stripe-webhook-secret is missing, whsec_…: its notifications could not be believed")
    if url and URL(url).scheme != "https" and URL(url).host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("--stripe-url is an https:// URL, or on the loopback")
    if find_spec("stripe") is None:
        raise ValueError("its library is missing; install innkeeper[stripe]")


@asynccontextmanager
async def open_stripe(
    key: str, webhook_secret: str, url: str, installation: str, clock: Callable[[], int]
) -> AsyncIterator[Provider]:
    """The Stripe account; see `stripe_provider`."""
    from innkeeper.delivery.payments.stripe_provider import stripe_provider

    async with stripe_provider(key, webhook_secret, url, installation, clock) as provider:
        yield provider
