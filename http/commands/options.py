"""Options of the command line. Each has an environment variable, which its argument overrides."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class _Variable(str):
    """The value of an environment variable. argparse gives a default that is text to the option's `type`, but only when
    the option belongs to the command that was called, and the argument is missing."""

    __slots__ = ("name",)
    name: str


def variable(name: str) -> str:
    """The environment variable of an option: `--port` is INNKEEPER_PORT."""
    return "INNKEEPER_" + name.strip("-").upper().replace("-", "_")


def option(
    options: argparse.ArgumentParser,
    name: str,
    kind: Callable[[str], object],
    default: str | None,
    text: str,
    metavar: str | None = None,
    required: bool = False,
) -> None:
    """Add an option with a value. `kind` makes the value from text, or raises ArgumentTypeError saying what is
    expected."""
    given = _given(name)
    shown = f"{text} ({variable(name)}" + (f"; {default})" if default else ")")
    options.add_argument(
        name,
        type=_checked(kind),
        default=default if given is None else given,
        required=required and given is None,
        metavar=metavar,
        help=shown,
    )


class _Repeated(argparse.Action):
    """Collects the values of all arguments; the first one replaces the default."""

    def __call__(
        self, _: argparse.ArgumentParser, options: argparse.Namespace, values: Any, __: str | None = None
    ) -> None:
        earlier = getattr(options, self.dest)
        setattr(options, self.dest, (*earlier, *values) if isinstance(earlier, tuple) else values)


def repeated(
    options: argparse.ArgumentParser, name: str, kind: Callable[[str], object], metavar: str, text: str
) -> None:
    """Add an option that may be given several times; its values are a tuple. Its variable has commas between them."""
    several = lambda given: tuple(kind(one) for one in given.split(",") if one.strip())  # noqa: E731
    given = _given(name)
    options.add_argument(
        name,
        type=_checked(several),
        action=_Repeated,
        default="" if given is None else given,
        metavar=metavar,
        help=f"{text}; repeatable ({variable(name)}, with commas between)",
    )


def switch(options: argparse.ArgumentParser, name: str, text: str) -> None:
    """Add an option that is on or off."""
    given = _given(name)
    added = options.add_argument(
        name, action="store_true", default=False if given is None else given, help=f"{text} ({variable(name)})"
    )
    added.type = _checked(truth)  # `store_true` takes none itself, but its default goes through it


def truth(text: str) -> bool:
    """Whether the value of a switch's variable means on."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise argparse.ArgumentTypeError("it must be true or false (1, yes, on; 0, no, off, empty)")
    return word in _TRUE


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A kind of option: a whole number within these bounds, both included."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"it must be a whole number from {least} to {most}")
        return value

    return number


port_number = whole_number(0, 65_535)


def path(text: str) -> Path:
    """A kind of option: a file or folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it must be the path of a file or folder")
    return Path(text)


def _given(name: str) -> _Variable | None:
    """What the environment says about an option."""
    text = os.environ.get(variable(name))
    if text is None:
        return None
    given = _Variable(text)
    given.name = variable(name)
    return given


def _checked(kind: Callable[[str], object]) -> Callable[[str], object]:
    """The same kind; a refused value of a variable is reported with the variable's name."""

    def value(text: str) -> object:
        plain = str(text)
        try:
            return kind(plain)
        except argparse.ArgumentTypeError as error:
            where = f"{text.name} is {plain!r}: " if isinstance(text, _Variable) else ""
            raise argparse.ArgumentTypeError(f"{where}{error}") from None

    return value
