"""Command-line options. Each has an environment variable, which the argument overrides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from innkeeper.protocol.values.installation import installation_name


class WholeNumber(click.IntRange):
    """A whole number within bounds, both included."""

    name = "number"  # in help and errors


def option(name: str, text: str, default: object = None, **settings: Any) -> click.Option:
    """An option, and its environment variable: INNKEEPER_PORT for `--port`. `settings` are those of `click.Option`."""
    variable = "INNKEEPER" + name.removeprefix("-").replace("-", "_").upper()
    if default is not None:  # None would count as a value, also of a required option
        settings |= {"default": default, "show_default": bool(default)}
    return click.Option([name], help=text, envvar=variable, show_envvar=True, **settings)


def switch(name: str, text: str) -> click.Option:
    """An option that is on or off."""
    return option(name, text, is_flag=True)


def repeated(name: str, kind: Callable[[str], object], metavar: str, text: str) -> click.Option:
    """An option that may be repeated; its values are a tuple. A text may hold several values, separated by commas."""

    def values(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[object, ...]:
        try:
            return tuple(kind(one) for text in texts for one in text.split(",") if one.strip())
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return option(name, f"{text}; repeatable, or separated by commas", multiple=True, metavar=metavar, callback=values)


def path(text: str) -> Path:
    """Converts an option to the path of a file or folder."""
    if not text.strip():
        raise ValueError("it must be the path of a file or folder")
    return Path(text)


def name_or_none(text: str) -> str | None:
    """Converts an option to the name of an installation; None where it is empty."""
    return installation_name(text) if text.strip() else None
