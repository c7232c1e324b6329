"""How the taxes of a line are split and reversed, without a loss."""

from innkeeper.protocol.values.taxes import TaxAmount, half_up


def split_taxes(
    taxes: tuple[TaxAmount, ...], part: int, whole: int
) -> tuple[tuple[TaxAmount, ...], tuple[TaxAmount, ...]]:
    """The taxes of a part of a charge, and those of the rest. Together they equal the taxes of the charge."""
    first = tuple(_with(tax, half_up(tax.amount * part, whole), half_up(tax.base * part, whole)) for tax in taxes)
    return first, less_taxes(taxes, first)


def less_taxes(taxes: tuple[TaxAmount, ...], part: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """The taxes of a charge without those of a part of it."""
    return tuple(
        _with(tax, tax.amount - share.amount, tax.base - share.base) for tax, share in zip(taxes, part, strict=True)
    )


def opposite(taxes: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """The same taxes with the opposite sign."""
    return tuple(_with(tax, -tax.amount, -tax.base) for tax in taxes)


def _with(tax: TaxAmount, amount: int, base: int) -> TaxAmount:
    return TaxAmount(tax.code, tax.rate, amount, tax.included, base)
