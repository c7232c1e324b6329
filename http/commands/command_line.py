"""The command line: its commands, and the options of each."""

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from innkeeper.http.commands.dead_letters import ACTIONS
from innkeeper.http.commands.options import option, path, port_number, repeated, switch, whole_number
from innkeeper.http.host_names import host_name, network
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, GATEWAY, NOTIFICATIONS, RESERVATIONS

EXIT_USAGE = 2

_PARTS = {
    RESERVATIONS: "one part of an inn alone: its hotels, all or those of one partition",
    BILLING: "one part of an inn alone: folios, payments and invoices",
    NOTIFICATIONS: "one part of an inn alone: letters to guests",
    DELIVERY: "one part of an inn alone: webhooks, archive and payment providers",
    GATEWAY: "one part of an inn alone: HTTP; several may share a port",
}
_BROKER = "events go there: amqp://user:password@host/ or kafka://host:port (local: from process to process)"

Run = Callable[[argparse.Namespace], object]


class CannotRun(Exception):
    """Why the program ends at once, for the person at the terminal; `code` for the script that called."""

    def __init__(self, message: str, code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.code = code


def command_line(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """All commands with their options; `runs` says what carries each out."""
    top = argparse.ArgumentParser(
        prog=program(),
        description="Innkeeper: a hotel reservation system made of actors and events.",
        epilog="Without a command it runs the demo. Every option --some-name has a variable INNKEEPER_SOME_NAME.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=(runs[name].__doc__ or text).strip())
        added.set_defaults(run=runs[name])
        return added

    demo_options = command("demo", "two furnished hotels on this machine alone (the default)")
    serve_options = command("serve", "production: listens where you say, and asks for keys")
    parts = {name: command(name, text) for name, text in _PARTS.items()}
    verify_options = command("verify", "prove the promises over a whole journal")
    wholes = (demo_options, serve_options)
    partitions, partition = whole_number(1, limits.partitions_max), whole_number(0, limits.partitions_max - 1)
    for options in (*wholes, *parts.values(), verify_options):
        option(options, "--data", path, "data", "the data directory")
    for options in (*wholes, *parts.values()):
        option(options, "--broker", str, "", _BROKER)
    for name, options in parts.items():
        options.set_defaults(part=name)
    for options in (*wholes, parts[RESERVATIONS]):
        option(options, "--partitions", partitions, None, "spread hotels over so many, for ever")
    option(parts[RESERVATIONS], "--partition", partition, None, "only the partition of this number, from 0 (all)")
    for options in (*wholes, parts[GATEWAY]):
        option(options, "--port", port_number, "8080", "the port to listen on; 0 takes any that is free")
    for options in (*wholes, parts[DELIVERY]):
        option(options, "--archive", str, "", "the archive of all events: any fsspec URL (a folder in --data)")
        switch(options, "--webhooks-to-loopback", "let webhooks go to this machine, and nowhere else")
    for options in (*wholes, parts[NOTIFICATIONS]):
        option(options, "--smtp", str, "", "the mail server: smtp://user:password@host (letters go to DATA/mail)")
        option(options, "--mail-from", str, "", "the address that letters come from")
    for options in wholes:
        switch(options, "--processes", "each part in a process of its own, which is started again when it dies")
        option(options, "--workers", whole_number(1, limits.workers_max), "1", "so many gateways, with --processes")
    switch(demo_options, "--empty", "no hotels yet")
    demo_options.set_defaults(simulated_payments=True, host="127.0.0.1", keys=None, host_name=(), trusted_proxy=())
    for options in (serve_options, parts[DELIVERY], parts[GATEWAY]):
        switch(options, "--simulated-payments", "a payment provider that only plays, as in the demo")
    for options in (serve_options, parts[GATEWAY]):
        option(
            options, "--host", str, "127.0.0.1", "the address to listen on (0.0.0.0: every one that the machine has)"
        )
        option(options, "--keys", path, "keys", "a file with a line name:key for each client")
        repeated(options, "--host-name", host_name, "NAME", "a name that clients know it as, beside its own addresses")
        repeated(options, "--trusted-proxy", network, "NETWORK", "the address of a proxy that may say host and scheme")
    _options_of_guests(command)
    return top


class _Version(argparse.Action):
    """Shows the version. It is looked up only when it is asked for, which spares every other start the search."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"innkeeper {version('innkeeper')}")
        parser.exit()


def program() -> str:
    """How this program was called: `innkeeper`, `run.py`, or `python -m innkeeper.run`."""
    module = sys.modules["__main__"].__spec__
    return Path(sys.argv[0]).name if module is None else f"python -m {module.name}"


def _options_of_guests(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The commands that speak HTTP to a server."""
    replay_options = command("replay", "play a booking history (CSV) through the HTTP API")
    replay_options.add_argument("history", type=path, metavar="HISTORY.csv", help="the bookings and their fates")
    option(
        replay_options, "--rooms", path, None, "how many rooms of each type (CSV)", metavar="ROOMS.csv", required=True
    )
    option(replay_options, "--url", str, "", "a running server; without it one is started for this alone")
    option(replay_options, "--hotel", str, "history", "the id of the hotel to open there")
    option(
        replay_options,
        "--decisions",
        path,
        None,
        "write a letter per booking here: Y accepted, n refused",
        metavar="FILE",
    )
    letter_options = command("dead-letters", "what subscribers could not take in, and what to do")
    letter_options.add_argument("action", choices=ACTIONS, help="what to do")
    letter_options.add_argument("subscriber", nargs="?", default="", help="whose")
    letter_options.add_argument("event", nargs="?", default="", help="the event that it could not take in")
    option(letter_options, "--url", str, "http://127.0.0.1:8080", "the running server")
    option(letter_options, "--key", str, "", "a key, if the server asks for one")


def with_command(arguments: list[str]) -> list[str]:
    """What was typed, with the command that is meant where none is said."""
    said = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help", "--version"))
    return arguments if said else ["demo", *arguments]
