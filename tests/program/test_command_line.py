"""Every option of the command line has an environment variable, whose value is checked like that of the argument."""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from innkeeper.http.commands.command_line import command_line

ON = ("1", "true", "True", "YES", "on")
OFF = ("0", "false", "False", "NO", "off", "", " ")


class Option(NamedTuple):
    """An option of a command, and the other arguments that the command requires."""

    command: str
    name: str
    others: tuple[str, ...]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "INNKEEPER_" + self.name.removeprefix("--").replace("-", "_").upper()

    def value(self, *arguments: str) -> object:
        """Its value, with these arguments and the current environment."""
        parsed = parser().parse_args([self.command, *self.others, *arguments])
        return getattr(parsed, self.name.removeprefix("--").replace("-", "_"))

    def __str__(self) -> str:
        return f"{self.command} {self.name}"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands, made with the current environment."""
    return command_line(defaultdict(lambda: lambda options: None))


def required(action: argparse.Action) -> list[str]:
    """The arguments that satisfy a parameter of a command; none where it is optional."""
    if action.option_strings:
        return [action.option_strings[0], "name"] if action.required else []
    return [str(next(iter(action.choices or ["name"])))] if action.nargs is None else []


def all_options(switches: bool) -> Iterator[Option]:
    """Of all commands, the options that are switches, or those that take a value."""
    (commands,) = (one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    for command, subparser in commands.choices.items():
        for action in subparser._actions:
            name = action.option_strings[0] if action.option_strings else ""
            if name.startswith("--") and (action.nargs == 0) == switches:
                others = [
                    argument for other in subparser._actions if other is not action for argument in required(other)
                ]
                yield Option(command, name, tuple(others))


SWITCHES = list(all_options(switches=True))
VALUES = list(all_options(switches=False))


def usage_error(option: Option, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The usage error that the command ends with."""
    with pytest.raises(SystemExit) as end:
        option.value(*arguments)
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_options_of_all_commands_are_found() -> None:
    assert {(option.command, option.name) for option in SWITCHES} >= {
        ("demo", "--empty"),
        ("demo", "--in-memory"),
        ("serve", "--simulated-payments"),
        ("delivery", "--webhooks-to-loopback"),
    }
    assert {(option.command, option.name) for option in VALUES} >= {("gateway", "--port"), ("replay", "--rooms")}


@pytest.mark.parametrize("option", SWITCHES, ids=str)
def test_a_switch_has_the_value_of_its_variable_unless_it_is_an_argument(
    option: Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(option.variable, raising=False)
    assert option.value() is False
    for text in ON:
        monkeypatch.setenv(option.variable, text)
        assert option.value() is True, text
    for text in OFF:
        monkeypatch.setenv(option.variable, text)
        assert option.value() is False, text
        assert option.value(option.name) is True, "the argument takes precedence over the variable"


@pytest.mark.parametrize("option", SWITCHES, ids=str)
def test_a_variable_that_is_neither_true_nor_false_is_a_usage_error(
    option: Option, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("maybe", "2", "falsee"):
        monkeypatch.setenv(option.variable, text)
        message = usage_error(option, capsys)
        assert f"{option.variable} is {text!r}" in message
        assert "true or false" in message


@pytest.mark.parametrize("option", VALUES, ids=str)
def test_a_variable_is_checked_as_the_argument_is(
    option: Option, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = 0
    for text in ("", "x", "-1", "0", "1", "7", "70000", "99999999999999999999", "local"):
        monkeypatch.delenv(option.variable, raising=False)
        try:
            expected = option.value(f"{option.name}={text}")
        except SystemExit:
            reason = capsys.readouterr().err.splitlines()[-1].partition(f"argument {option.name}: ")[2]
            monkeypatch.setenv(option.variable, text)
            message = usage_error(option, capsys)
            assert message.endswith(f"argument {option.name}: {option.variable} is {text!r}: {reason}")
        else:
            monkeypatch.setenv(option.variable, text)
            assert option.value() == expected
            accepted += 1
    assert accepted, "no value is accepted at all"


def test_a_command_ignores_the_variables_of_other_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNKEEPER_PORT", "a")
    monkeypatch.setenv("INNKEEPER_PROCESSES", "maybe")
    assert parser().parse_args(["verify"])
    assert parser().parse_args(["demo", "--port", "1", "--processes"]).port == 1, "the arguments take precedence"
