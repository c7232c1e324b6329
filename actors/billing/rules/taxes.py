"""How amounts and the taxes of a line are split and reversed, without a loss."""

from collections.abc import Sequence

from innkeeper.protocol.values.taxes import TaxAmount, half_up


def shares(amount: int, weights: Sequence[int]) -> list[int]:
    """The amount in these proportions: the largest remainders get a unit more, the earlier of two equal ones first."""
    whole = sum(weights)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(amount * weights[place] % whole))
    for place in by_remainder[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def split_taxes(
    taxes: tuple[TaxAmount, ...], part: int, whole: int, with_added: bool = True
) -> tuple[tuple[TaxAmount, ...], tuple[TaxAmount, ...]]:
    """The taxes of a part of a charge, and those of the rest. Together they equal the taxes of the charge. The part and
    the whole have the added taxes in them, unless `with_added` is false. A rate that was computed on the net amount of
    the charge has the net amount of the part as its base, so that the net amounts of a document add up by rate."""
    amounts = [half_up(tax.amount * part, whole) for tax in taxes]
    net = whole - sum(tax.amount for tax in taxes if with_added or tax.included)
    of_part = part - sum(amount for tax, amount in zip(taxes, amounts, strict=True) if with_added or tax.included)
    first = tuple(
        _with(tax, amount, of_part + half_up((tax.base - net) * part, whole) if tax.base else 0)
        for tax, amount in zip(taxes, amounts, strict=True)
    )
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
