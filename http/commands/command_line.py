"""The commands of the command line and their options."""

import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import click
from innkeeper.http.commands.options import WholeNumber, name_or_none, option, path, repeated, switch
from innkeeper.http.host_names import host_name, network
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, GATEWAY, NOTIFICATIONS, RESERVATIONS
from innkeeper.protocol.values.operator_error import EXIT_USAGE, OperatorError

_DATA = option("--data", "the data directory", "data", type=path)
_INSTALLATION = option(
    "--installation", "the name of the installation, set when the data directory is made (innkeeper)",
    type=name_or_none, metavar="NAME",
)  # fmt: skip
_BROKER = option(
    "--broker", "the broker for events: amqp://user:password@host/ or kafka://user:password@host:port (local: none)", ""
)
_GUEST_DETAILS = option(
    "--guest-details", "the receivers of events that get the details of guests: archive,broker (none)", ""
)
_PARTITIONS = option(
    "--partitions", "the number of partitions, set when the data directory is made, and never changed (1)",
    type=WholeNumber(1, limits.partitions_max),
)  # fmt: skip
_PARTITION_NUMBER = WholeNumber(0, limits.partitions_max - 1)
_PARTITION = option("--partition", "run only the partition of this number, from 0 (all)", type=_PARTITION_NUMBER)
_PORT = option("--port", "the port to listen on; 0 selects a free one", 8080, type=WholeNumber(0, 65_535))
_ADAPTERS = (
    option("--archive", "the archive of all events: a folder, or any fsspec URL (a folder in --data)", ""),
    option(
        "--archive-form",
        "JSON lines in segments, or a file per event (segments; events at a URL that is no folder)",
        type=click.Choice(["segments", "events"]),
    ),
    switch("--webhooks-to-loopback", "send webhooks only to this machine"),
)
_MAIL = (
    option("--smtp", "the mail server, with --mail-from: smtp://user:password@host (letters go to DATA/mail)", ""),
    option("--mail-from", "the sender's address of letters; required with --smtp", ""),
)
_SIMULATED_PAYMENTS = switch("--simulated-payments", "add a simulated payment provider, as in the demo")
_STRIPE = (
    option("--stripe-key", "the secret key of a Stripe account, which then takes payments (the extra stripe)", ""),
    option("--stripe-webhook-secret", "what the Stripe account signs its notifications with: whsec_…", ""),
    option("--stripe-url", "another server that speaks Stripe's API, for tests", ""),
)
_SIMULATED_CLOCKS = switch("--simulated-clocks", "accept hotels whose business date moves on request, as in the demo")
_PUBLIC = (
    _SIMULATED_PAYMENTS,
    *_STRIPE,
    _SIMULATED_CLOCKS,
    option("--host", "the address to listen on (0.0.0.0: every one that the machine has)", "127.0.0.1"),
    option("--keys", "a file with a line name:key for each client; a key has 20 characters or more", "keys", type=path),
    repeated("--host-name", host_name, "NAME", "a host name of this server, beside its own addresses"),
    repeated("--trusted-proxy", network, "NETWORK", "the address of a proxy that forwards host and scheme"),
)
_ACTOR_SYSTEM = option("--actor-system", "what runs the actors", "local", type=click.Choice(["local", "thespian"]))
_PROCESSES = (
    switch("--processes", "run each part in its own process, and restart it when it ends"),
    option("--workers", "the number of gateways with --processes", 1, type=WholeNumber(1, limits.workers_max)),
)
_DEMO = (
    switch("--empty", "start without hotels"),
    switch("--in-memory", "write nothing to disk: the next start begins anew"),
)
_KEY = option("--key", "an API key, if the server requires one", "")
_REPLAY = (
    click.Argument(["history"], type=path, metavar="HISTORY.csv", help="the bookings and their outcomes"),
    option("--rooms", "the rooms of each type (CSV)", type=path, metavar="ROOMS.csv", required=True),
    option("--url", "a running server with simulated clocks; by default one is started for the replay", ""),
    _KEY,
    option("--hotel", "the id of the hotel to open", "history"),
    option("--decisions", "write a line for each booking to this file: Y accepted, n refused", type=path),
)
_BACKUP = (
    click.Argument(["destination"], type=path, metavar="DEST", help="the folder to make; it is missing or empty"),
    _DATA,
)
_HEEDED = "its forgotten guests are forgotten again, and its invoice numbers are not given again"
_RESTORE_ARCHIVE = option("--archive", f"the archive, a folder or URL (none): {_HEEDED}", "")
_ROLLBACK = (_DATA, option("--archive", f"the archive, a folder or URL (DATA/archive): {_HEEDED}", ""))
_RESTORE = (
    click.Argument(["source"], type=path, metavar="SOURCE", help="the folder of the backup"),
    option("--data", "the data directory to make; it is missing or empty", "data", type=path),
    _RESTORE_ARCHIVE,
)
_DEAD_LETTERS = (
    click.Argument(["action"], type=click.Choice(["list", "show", "redrive", "drop"]), help="the action"),
    click.Argument(["subscriber"], default="", help="the subscriber of the dead letter"),
    click.Argument(["event"], default="", help="the event of the dead letter"),
    option("--url", "the running server", "http://127.0.0.1:8080"),
    _KEY,
)


_FIXED: dict[str, dict[str, object]] = {
    "demo": {
        "simulated_payments": True,
        "simulated_clocks": True,
        "stripe_key": "",
        "stripe_webhook_secret": "",
        "stripe_url": "",
        "host": "127.0.0.1",
        "keys": None,
        "host_name": (),
        "trusted_proxy": (),
    },
    "serve": {"empty": True, "in_memory": False},
}


class CannotRun(OperatorError):
    """The command cannot be carried out."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _Commands(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        """The commands in the order of their definition."""
        return [*self.commands]

    def define(self, name: str, text: str, example: str, *parameters: click.Parameter) -> None:
        """Adds a command, which returns its options."""
        command = click.Command(name, params=[*parameters], callback=partial(_checked, name), short_help=text)
        command.help, command.epilog = f"{text[0].upper()}{text[1:]}.", f"Example: innkeeper {name} {example}"
        self.add_command(command)


def command_line() -> click.Group:
    """All commands with their options."""
    top = _Commands(
        help="Innkeeper: a hotel reservation system made of actors and events.",
        epilog="Without a command it runs the demo. Every option --some-name has a variable INNKEEPER_SOME_NAME.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    part = _DATA, _INSTALLATION, _BROKER, _GUEST_DETAILS
    server = *part, _PARTITIONS, _ACTOR_SYSTEM, _PORT, *_ADAPTERS, *_MAIL, *_PROCESSES
    top.define("demo", "run two demo hotels, for this machine only (the default)", "--port 9000", *server, *_DEMO)
    top.define(
        "serve", "run in production: on a configured address, with API keys", "--keys keys --host 0.0.0.0",
        *server, *_PUBLIC,
    )  # fmt: skip
    top.define(
        RESERVATIONS, "run one part only: reservations, for all hotels or those of one partition", "--partition 0",
        *part, _PARTITIONS, _PARTITION, _ACTOR_SYSTEM,
    )  # fmt: skip
    top.define(BILLING, "run one part only: folios, payments and invoices", "--data data", *part, _ACTOR_SYSTEM)
    top.define(
        NOTIFICATIONS, "run one part only: letters to guests",
        "--smtp smtp://mail.example --mail-from stay@inn.example", *part, *_MAIL,
    )  # fmt: skip
    top.define(
        DELIVERY, "run one part only: webhooks, archive and payment providers", "--archive /mnt/archive",
        *part, *_ADAPTERS, _SIMULATED_PAYMENTS, *_STRIPE,
    )  # fmt: skip
    top.define(GATEWAY, "run one part only: HTTP; several may share a port", "--keys keys", *part, _PORT, *_PUBLIC)
    top.define("verify", "verify the whole journal", "--data data", _DATA)
    top.define("backup", "back up a data directory, also while it is used", "/backups/monday --data data", *_BACKUP)
    top.define(
        "restore", "restore a backup to a new data directory, and verify it", "/backups/monday --data restored",
        *_RESTORE,
    )  # fmt: skip
    top.define("accept-rollback", "go on with journals that have lost events, as they are", "--data data", *_ROLLBACK)
    top.define(
        "replay", "replay a booking history (CSV) through the HTTP API", "HISTORY.csv --rooms ROOMS.csv", *_REPLAY
    )
    top.define("dead-letters", "list, show, redrive or drop dead letters", "redrive SUBSCRIBER EVENT", *_DEAD_LETTERS)
    return click.version_option(package_name="innkeeper", message="innkeeper %(version)s")(top)


def _checked(command: str, **given: Any) -> SimpleNamespace:
    options = SimpleNamespace(command=command, **_FIXED.get(command, {}), **given)
    if given.get("workers", 1) > 1 and not options.processes:
        raise click.UsageError("several gateways are several processes: --workers needs --processes")
    if given.get("in_memory") and options.processes:
        raise click.UsageError("--in-memory is for one process: it excludes --processes")
    if command == "dead-letters" and options.action != "list" and not options.event:
        raise click.UsageError(f"a dead letter must be named: dead-letters {options.action} SUBSCRIBER EVENT")
    return options


def parse(arguments: list[str]) -> SimpleNamespace:
    """The command, by default `demo`, and its options. Ends the program after --help, --version and wrong usage."""
    has_command = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help", "--version"))
    try:
        options = command_line().main(arguments if has_command else ["demo", *arguments], standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    return options if isinstance(options, SimpleNamespace) else sys.exit()


def welcome(options: SimpleNamespace, port: int) -> str:
    """The message of a server that is ready on this port."""
    if options.in_memory:
        pages = f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: in memory only\n"
        return pages + "Nothing is written to disk. Ctrl-C stops it, and the next start begins anew."
    if options.keys is not None:
        return f"Serving http://{options.host}:{port}, data: {options.data}"
    pages = f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: {options.data}\n"
    return pages + "Ctrl-C stops it; the next start continues with the same bookings."
