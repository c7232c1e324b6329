"""Command-line options. Each has an environment variable, which the argument overrides."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class _Variable(str):
    """The value of an environment variable. argparse converts a default that is text with the option's `type`, but only
    if the option belongs to the chosen command and the argument is missing."""

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
    """Adds an option with a value. `kind` converts the text; it raises ArgumentTypeError with what is expected."""
    given = _given(name)
    description = f"{text} ({variable(name)}" + (f"; {default})" if default else ")")
    options.add_argument(
        name,
        type=_checked(kind),
        default=default if given is None else given,
        required=required and given is None,
        metavar=metavar,
        help=description,
    )


class _Repeated(argparse.Action):
    """Collects the values of all arguments; the first replaces the default."""

    def __call__(
        self, _: argparse.ArgumentParser, options: argparse.Namespace, values: Any, __: str | None = None
    ) -> None:
        earlier = getattr(options, self.dest)
        setattr(options, self.dest, (*earlier, *values) if isinstance(earlier, tuple) else values)


def repeated(
    options: argparse.ArgumentParser, name: str, kind: Callable[[str], object], metavar: str, text: str
) -> None:
    """Adds an option that may be repeated; its values are a tuple. Its variable separates them with commas."""
    values = lambda given: tuple(kind(one) for one in given.split(",") if one.strip())  # noqa: E731
    given = _given(name)
    options.add_argument(
        name,
        type=_checked(values),
        action=_Repeated,
        default="" if given is None else given,
        metavar=metavar,
        help=f"{text}; repeatable ({variable(name)}, separated by commas)",
    )


def switch(options: argparse.ArgumentParser, name: str, text: str) -> None:
    """Adds an option that is on or off."""
    given = _given(name)
    added = options.add_argument(
        name, action="store_true", default=False if given is None else given, help=f"{text} ({variable(name)})"
    )
    added.type = _checked(truth)  # `store_true` accepts no type, but its default is converted


def truth(text: str) -> bool:
    """Converts the value of a switch's variable."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise argparse.ArgumentTypeError("it must be true or false (1, yes, on; 0, no, off, empty)")
    return word in _TRUE


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Makes the conversion of an option to a whole number within these bounds, both included."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"it must be a whole number from {least} to {most}")
        return value

    return number


def one_of(*names: str) -> Callable[[str], str]:
    """Makes the conversion of an option to one of these names."""

    def name(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"it must be {' or '.join(names)}")
        return text

    return name


port_number = whole_number(0, 65_535)


def path(text: str) -> Path:
    """Converts an option to the path of a file or folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it must be the path of a file or folder")
    return Path(text)


def _given(name: str) -> _Variable | None:
    """The value of an option's environment variable, if it is set."""
    text = os.environ.get(variable(name))
    if text is None:
        return None
    given = _Variable(text)
    given.name = variable(name)
    return given


def _checked(kind: Callable[[str], object]) -> Callable[[str], object]:
    """Wraps a conversion, so that an error in the value of a variable names the variable."""

    def value(text: str) -> object:
        plain = str(text)
        try:
            return kind(plain)
        except argparse.ArgumentTypeError as error:
            where = f"{text.name} is {plain!r}: " if isinstance(text, _Variable) else ""
            raise argparse.ArgumentTypeError(f"{where}{error}") from None

    return value
