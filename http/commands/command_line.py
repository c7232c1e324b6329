"""The commands of the command line and their options."""

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from innkeeper.http.commands.dead_letters import ACTIONS
from innkeeper.http.commands.options import one_of, option, path, port_number, repeated, switch, whole_number
from innkeeper.http.host_names import host_name, network
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, GATEWAY, NOTIFICATIONS, RESERVATIONS
from innkeeper.protocol.values.operator_error import EXIT_USAGE, OperatorError

_PARTS = {
    RESERVATIONS: "run one part only: reservations, for all hotels or those of one partition",
    BILLING: "run one part only: folios, payments and invoices",
    NOTIFICATIONS: "run one part only: letters to guests",
    DELIVERY: "run one part only: webhooks, archive and payment providers",
    GATEWAY: "run one part only: HTTP; several may share a port",
}
_BROKER = "the broker for events: amqp://user:password@host/ or kafka://host:port (local: no broker)"

Run = Callable[[argparse.Namespace], object]


class CannotRun(OperatorError):
    """The command cannot be carried out."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def command_line(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """The parser of all commands with their options; `runs` has the function of each command."""
    top = argparse.ArgumentParser(
        prog=program(),
        description="Innkeeper: a hotel reservation system made of actors and events.",
        epilog="Without a command it runs the demo. Every option --some-name has a variable INNKEEPER_SOME_NAME.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(run=runs[name])
        return added

    demo_options = command("demo", "run two demo hotels, for this machine only (the default)")
    serve_options = command("serve", "run in production: on a configured address, with API keys")
    parts = {name: command(name, text) for name, text in _PARTS.items()}
    verify_options = command("verify", "verify the whole journal")
    full_options = (demo_options, serve_options)
    partitions, partition = whole_number(1, limits.partitions_max), whole_number(0, limits.partitions_max - 1)
    for options in (*full_options, *parts.values(), verify_options):
        option(options, "--data", path, "data", "the data directory")
    for options in (*full_options, *parts.values()):
        option(options, "--broker", str, "", _BROKER)
    for name, options in parts.items():
        options.set_defaults(part=name)
    for options in (*full_options, parts[RESERVATIONS]):
        option(options, "--partitions", partitions, None, "the number of partitions; it cannot be changed later")
    for options in (*full_options, parts[RESERVATIONS], parts[BILLING]):
        option(options, "--actor-system", one_of("local", "thespian"), "local", "what runs the actors")
    option(parts[RESERVATIONS], "--partition", partition, None, "run only the partition of this number, from 0 (all)")
    for options in (*full_options, parts[GATEWAY]):
        option(options, "--port", port_number, "8080", "the port to listen on; 0 selects a free one")
    for options in (*full_options, parts[DELIVERY]):
        option(options, "--archive", str, "", "the archive of all events: any fsspec URL (a folder in --data)")
        switch(options, "--webhooks-to-loopback", "send webhooks only to this machine")
    for options in (*full_options, parts[NOTIFICATIONS]):
        option(options, "--smtp", str, "", "the mail server: smtp://user:password@host (letters go to DATA/mail)")
        option(options, "--mail-from", str, "", "the sender's address of letters")
    for options in full_options:
        switch(options, "--processes", "run each part in its own process, and restart it when it ends")
        option(
            options, "--workers", whole_number(1, limits.workers_max), "1", "the number of gateways with --processes"
        )
    switch(demo_options, "--empty", "start without hotels")
    switch(demo_options, "--in-memory", "write nothing to disk: the next start begins anew")
    serve_options.set_defaults(empty=True, in_memory=False)
    demo_options.set_defaults(simulated_payments=True, host="127.0.0.1", keys=None, host_name=(), trusted_proxy=())
    for options in (serve_options, parts[DELIVERY], parts[GATEWAY]):
        switch(options, "--simulated-payments", "add a simulated payment provider, as in the demo")
    for options in (serve_options, parts[GATEWAY]):
        option(
            options, "--host", str, "127.0.0.1", "the address to listen on (0.0.0.0: every one that the machine has)"
        )
        option(options, "--keys", path, "keys", "a file with a line name:key for each client")
        repeated(options, "--host-name", host_name, "NAME", "a host name of this server, beside its own addresses")
        repeated(options, "--trusted-proxy", network, "NETWORK", "the address of a proxy that forwards host and scheme")
    _client_commands(command)
    return top


def check_combination(options: argparse.Namespace) -> argparse.Namespace:
    """Returns the options. Raises CannotRun where they exclude each other."""
    processes = getattr(options, "processes", False)
    if getattr(options, "workers", 1) > 1 and not processes:
        raise CannotRun("several gateways are several processes: --workers needs --processes")
    if getattr(options, "in_memory", False) and processes:
        raise CannotRun("--in-memory is for one process: it excludes --processes")
    return options


class _Version(argparse.Action):
    """Shows the version, which is looked up only here, because the look-up is slow."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"innkeeper {version('innkeeper')}")
        parser.exit()


def welcome(options: argparse.Namespace, port: int) -> str:
    """The message of a server that is ready on this port."""
    if options.in_memory:
        pages = f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: in memory only\n"
        return pages + "Nothing is written to disk. Ctrl-C stops it, and the next start begins anew."
    if options.keys is not None:
        return f"Serving http://{options.host}:{port}, data: {options.data}"
    pages = f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: {options.data}\n"
    return pages + "Ctrl-C stops it; the next start continues with the same bookings."


def program() -> str:
    """The name that this program was called by: `innkeeper`, `run.py`, or `python -m innkeeper.run`."""
    module = sys.modules["__main__"].__spec__
    return Path(sys.argv[0]).name if module is None else f"python -m {module.name}"


def _client_commands(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Adds the commands that are clients of the HTTP API."""
    replay_options = command("replay", "replay a booking history (CSV) through the HTTP API")
    replay_options.add_argument("history", type=path, metavar="HISTORY.csv", help="the bookings and their outcomes")
    option(
        replay_options,
        "--rooms",
        path,
        None,
        "the rooms of each type (CSV)",
        metavar="ROOMS.csv",
        required=True,
    )
    option(replay_options, "--url", str, "", "a running server; by default one is started for the replay")
    option(replay_options, "--hotel", str, "history", "the id of the hotel to open")
    option(
        replay_options,
        "--decisions",
        path,
        None,
        "write a line for each booking to this file: Y accepted, n refused",
        metavar="FILE",
    )
    dead_letter_options = command("dead-letters", "list, show, redrive or drop dead letters")
    dead_letter_options.add_argument("action", choices=ACTIONS, help="the action")
    dead_letter_options.add_argument("subscriber", nargs="?", default="", help="the subscriber of the dead letter")
    dead_letter_options.add_argument("event", nargs="?", default="", help="the event of the dead letter")
    option(dead_letter_options, "--url", str, "http://127.0.0.1:8080", "the running server")
    option(dead_letter_options, "--key", str, "", "an API key, if the server requires one")


def with_command(arguments: list[str]) -> list[str]:
    """The arguments, with the default command `demo` where none is given."""
    has_command = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help", "--version"))
    return arguments if has_command else ["demo", *arguments]
