"""Every option of the command line has an environment variable, whose value is checked like that of the argument."""

from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest
from innkeeper.delivery.integrations import Integrations
from innkeeper.http.commands.command_line import command_line, parse

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
        parsed = parse([self.command, *self.others, *arguments])
        return getattr(parsed, self.name.removeprefix("--").replace("-", "_"))

    def __str__(self) -> str:
        return f"{self.command} {self.name}"


def required(parameter: click.Parameter) -> list[str]:
    """The arguments that satisfy a parameter of a command; none where it is optional."""
    if not parameter.required:
        return []
    value = parameter.type.choices[0] if isinstance(parameter.type, click.Choice) else "name"
    return [parameter.opts[0], value] if isinstance(parameter, click.Option) else [value]


def all_options(switches: bool) -> Iterator[Option]:
    """Of all commands, the options that are switches, or those that take a value."""
    for command in command_line().commands.values():
        for one in command.params:
            if isinstance(one, click.Option) and one.is_flag == switches:
                others = [text for other in command.params if other is not one for text in required(other)]
                yield Option(str(command.name), one.opts[0], tuple(others))


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
        ("gateway", "--simulated-clocks"),
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
        assert option.variable in message
        assert f"{text!r} is not a valid boolean" in message


@pytest.mark.parametrize("option", VALUES, ids=str)
def test_a_variable_is_checked_as_the_argument_is(
    option: Option, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = ["--processes"] if option.name == "--workers" else []
    accepted = 0
    for text in ("x", "-1", "0", "1", "7", "70000", "99999999999999999999", " ", "local", "events"):
        monkeypatch.delenv(option.variable, raising=False)
        try:
            expected = option.value(f"{option.name}={text}", *others)
        except SystemExit:
            refused = capsys.readouterr().err.splitlines()[-1]
            monkeypatch.setenv(option.variable, text)
            assert usage_error(option, capsys, *others) == refused
            assert refused.startswith(f"Error: Invalid value for '{option.name}' (env var: '{option.variable}'): ")
        else:
            monkeypatch.setenv(option.variable, text)
            assert option.value(*others) == expected
            accepted += 1
    assert accepted, "no value is accepted at all"


@pytest.mark.parametrize("option", VALUES, ids=str)
def test_an_empty_variable_counts_as_not_set(
    option: Option, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(option.variable, "")
    if option.name == "--rooms":
        assert "Missing option '--rooms'" in usage_error(option, capsys)
        return
    empty = option.value()
    monkeypatch.delenv(option.variable)
    assert option.value() == empty


def test_a_command_ignores_the_variables_of_other_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNKEEPER_PORT", "a")
    monkeypatch.setenv("INNKEEPER_PROCESSES", "maybe")
    assert parse(["verify"])
    assert parse(["demo", "--port", "1", "--processes"]).port == 1, "the arguments take precedence"


def test_options_without_a_command_are_those_of_the_demo() -> None:
    assert parse([]).command == "demo"
    assert parse(["--port", "9000"]) == parse(["demo", "--port", "9000"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--workers", "2"], "--workers needs --processes"),
        (["demo", "--in-memory", "--processes"], "excludes --processes"),
        (["dead-letters", "drop", "billing"], "dead-letters drop SUBSCRIBER EVENT"),
        (["demo", "--proc"], "--proc"),
        (["replay", "history.csv"], "--rooms"),
        (["dead-letters"], "list|show"),
        (["dmeo"], "dmeo"),
    ],
    ids=str,
)
def test_wrong_usage_ends_with_code_2_and_names_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(command_line().commands))
def test_the_example_in_the_help_of_a_command_is_right(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([command, "--help"])
    assert not end.value.code
    example = capsys.readouterr().out.partition("Example: innkeeper ")[2].split()
    options = parse(example)
    assert options.command == command
    Integrations.from_options(options)  # which refuses, for example, a mail server without a sender
