"""How the taxes of a line are split and reversed, without a loss."""

from innkeeper.protocol.values.taxes import TaxAmount, half_up


def split_taxes(
    taxes: tuple[TaxAmount, ...], part: int, whole: int
) -> tuple[tuple[TaxAmount, ...], tuple[TaxAmount, ...]]:
    """The taxes of a part of a charge, and those of the rest. Together they equal the taxes of the charge."""
    first = tuple(_with(tax, half_up(tax.amount * part, whole)) for tax in taxes)
    rest = (_with(tax, tax.amount - share.amount) for tax, share in zip(taxes, first, strict=True))
    return first, tuple(rest)


def opposite(taxes: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """The same taxes with the opposite sign."""
    return tuple(_with(tax, -tax.amount) for tax in taxes)


def _with(tax: TaxAmount, amount: int) -> TaxAmount:
    return TaxAmount(tax.code, tax.rate, amount, tax.included)
