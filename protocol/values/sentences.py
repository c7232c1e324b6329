"""Parts of sentences in refusals."""

from collections.abc import Sequence


def one_of(words: Sequence[str]) -> str:
    """Returns the words as alternatives: "a", "a or b", "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def counted(number: int, noun: str) -> str:
    """Returns the number with its noun: "1 guest", "2 guests", "2,000 entries"."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
