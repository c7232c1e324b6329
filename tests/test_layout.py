"""Rules of the source tree: imports between folders, complete tables, and the length of files and functions."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.http import problem_codes
from innkeeper.http.api.openapi import document
from innkeeper.http.api.resources import Problem
from innkeeper.http.api.routes import OPERATIONS
from innkeeper.http.api.routing import ROUTES
from innkeeper.http.problem_codes import PROBLEM_CODES, STATUS
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing import queries as billing_queries
from innkeeper.protocol.billing import replies as billing_replies
from innkeeper.protocol.codec import frames, wire
from innkeeper.protocol.delivery import events as delivery_events
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands, events, queries, replies
from innkeeper.protocol.values import limits

ROOT = Path(__file__).parents[1]
FOLDERS = {"protocol", "actors", "storage", "http", "delivery"}
LINES_PER_FILE_MAX = 400
LINES_OF_RUN_MAX = 280
LINES_PER_FUNCTION_MAX = 60

# Which folders or modules of the project each folder may import. The entry with the longest matching name applies.
KERNEL = {"protocol.values", "protocol.messages"}
RESERVATIONS_TERMS = {
    f"protocol.reservations.{module}" for module in ("events", "room_events", "booking", "terms", "transitions")
}
SHARED_BY_ENGINES = {
    f"storage.{module}"
    for module in ("stored_cursor", "gapless_log", "read_model_events", "search_words", "key_file", "new_files")
}
SQL_FUNCTIONS = {"json_each", "pragma_table_info", "sqlite_master"}  # which statements use like tables
HOSTING = {"protocol", "actors.system", "actors.partition"}
ALLOWED_IMPORTS = {
    "protocol/values": {"protocol.values", "protocol.messages.refusals"},
    "protocol/messages": KERNEL,
    "protocol/reservations": {*KERNEL, "protocol.reservations"},
    "protocol/billing": {*KERNEL, "protocol.billing", *RESERVATIONS_TERMS},
    "protocol/notifications": {*KERNEL, "protocol.notifications", "protocol.billing.terms"},
    "protocol/delivery": {*KERNEL, "protocol.delivery", "protocol.codec.wire", "protocol.ports.subscriptions"},
    "protocol/ports": {"protocol"},
    "protocol/codec": {"protocol"},
    "protocol": set[str](),
    "actors/system": {"actors.system"},
    "actors/partition": HOSTING,
    "actors/partition/partition.py": {*HOSTING, "actors.subscriptions.load_meter"},
    "actors/reservations/rules": {*KERNEL, "protocol.reservations", "actors.reservations.rules"},
    "actors/reservations": {*HOSTING, "actors.reservations"},
    "actors/reservations/hold_payments.py": {"protocol"},
    "actors/reservations/read_model_task.py": {
        "protocol", "actors.subscriptions.background_task", "actors.subscriptions.load_meter",
    },
    "actors/billing/rules": {*KERNEL, "protocol.billing", *RESERVATIONS_TERMS, "actors.billing.rules"},
    "actors/billing": {*HOSTING, "actors.billing"},
    "actors/notifications/rules": {
        *KERNEL, "protocol.notifications", *RESERVATIONS_TERMS, "protocol.billing.events", "protocol.billing.terms",
        "actors.notifications.rules",
    },
    "actors/notifications": {*HOSTING, "actors.notifications", "actors.subscriptions"},
    "actors/delivery": {"protocol", "actors.delivery"},
    "actors/delivery/payment_relay.py": {"protocol", "actors.subscriptions.background_task"},
    "actors/delivery/event_relay.py": {"protocol", "actors.delivery", "actors.subscriptions.background_task"},
    "actors/subscriptions": {"protocol", "actors.subscriptions"},
    "actors/cluster": {"protocol", "actors.cluster"},
    "actors/cluster/parts.py": {
        "protocol", "actors.cluster", "actors.partition.partition", "actors.subscriptions",
    },
    **{
        f"actors/{context}/service.py": {*HOSTING, "actors.cluster", "actors.subscriptions", f"actors.{context}"}
        for context in ("reservations", "billing", "notifications", "delivery")
    },
    "actors": set[str](),
    "storage/audit": {
        *KERNEL, "protocol.reservations.events", "protocol.reservations.room_events", "protocol.reservations.reasons",
        "protocol.reservations.booking",
        "protocol.billing.events", "protocol.billing.folio", "storage.audit",
    },
    "storage/operations": {"protocol", "storage.audit"},
    **{
        f"storage/operations/{module}.py": {
            "protocol", "storage.operations", "storage.sqlite", "storage.data_directory", "storage.installation_file",
        }
        for module in ("backup", "restore")
    },
    **{
        f"storage/operations/{module}.py": {
            "protocol", "storage.operations", "storage.audit", "storage.sqlite", "storage.data_directory",
            "storage.installation_file",
        }
        for module in ("timelines", "accept_rollback")
    },
    "storage/operations/new_folder.py": {"protocol", "storage.new_files"},
    "storage/sqlite": {
        "protocol", "storage.sqlite", *SHARED_BY_ENGINES, "storage.data_directory", "storage.installation_file",
    },
    "storage/memory": {"protocol", "storage.memory", *SHARED_BY_ENGINES},
    "storage/data_directory.py": {"protocol", "storage.installation_file", "storage.new_files"},
    "storage": {"protocol", "storage.new_files"},
    "http": {"protocol", "http"},
    "delivery": {"protocol", "delivery"},
}  # fmt: skip

# Which third-party libraries each folder may import.
LIBRARIES = {
    "protocol": {"email_validator", "iso4217", "msgpack", "msgspec"},
    "actors": {"msgspec", "thespian", "uvloop"},
    "storage": {"anyascii", "cryptography", "msgspec", "sqlite_utils"},
    "delivery": {
        "aio_pika", "aiohttp", "aiokafka", "aiormq", "aiosmtplib", "babel", "fsspec", "jinja2", "msgspec", "stripe",
        "yarl",
    },
    "http": {
        "aiohttp", "babel", "click", "facturx", "jinja2", "msgspec", "prometheus_client", "pypdf", "tqdm", "typst",
        "uharfbuzz",
    },
}  # fmt: skip
STANDARD = set(__import__("sys").stdlib_module_names)
IMPURE = {"asyncio", "socket", "sqlite3", "threading", "random", "os", "secrets", "uuid", "logging", "pathlib"}


def sources(*folders: str) -> list[Path]:
    """All source files under these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


SOURCES = sources(*FOLDERS)
BYTES_MAX = 300_000
ALL_FILES = [*SOURCES, ROOT / "run.py", *sources("tests")]


def relative_name(path: Path) -> str:
    """The path of a file within the source tree."""
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative_name(path)} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder_of(path: Path) -> str:
    """The entry of `ALLOWED_IMPORTS` that applies to a file."""
    return max((one for one in ALLOWED_IMPORTS if f"{relative_name(path)}/".startswith(f"{one}/")), key=len)


def module_of(imported: str) -> str:
    """The module of the project that an import names; the import may end in a name within it."""
    parts = imported.split(".")
    is_module = (ROOT / Path(*parts)).with_suffix(".py").exists() or (ROOT / Path(*parts)).is_dir()
    return imported if is_module else ".".join(parts[:-1])


@pytest.mark.parametrize("path", SOURCES, ids=relative_name)
def test_a_folder_imports_only_allowed_modules(path: Path) -> None:
    for imported in imports(path):
        top, _, rest = imported.partition(".")
        if top == "innkeeper":
            allowed = ALLOWED_IMPORTS[folder_of(path)]
            assert any(f"{module_of(rest)}.".startswith(f"{one}.") for one in allowed), (
                f"{relative_name(path)} imports {imported}"
            )
        else:
            libraries = STANDARD | LIBRARIES[path.relative_to(ROOT).parts[0]]
            assert top in libraries, f"{relative_name(path)} imports {imported}"


FILES_OF_THE_JOURNAL = (
    "journal.py", "journal_file.py", "event_log.py", "event_rows.py", "snapshots.py", "timelines.py",
)  # fmt: skip
MAKER_OF_TABLES = {
    **dict.fromkeys(FILES_OF_THE_JOURNAL, "schema.py"),
    "read_models.py": "read_model_file.py",
    "read_model_step.py": "read_model_file.py",
}


@pytest.mark.parametrize("path", sources("storage/sqlite"), ids=relative_name)
def test_statements_name_only_tables_of_their_own_component(path: Path) -> None:
    text = path.read_text() + (path.parent / MAKER_OF_TABLES.get(path.name, path.name)).read_text()
    own = set(re.findall(r"CREATE (?:VIRTUAL )?TABLE (\w+)|table\((?:\s*db,\s*)?\"(\w+)\"", text))
    tables = {name for names in own for name in names if name}
    named = set(re.findall(r"\b(?:FROM|INTO|(?<!AFTER )UPDATE|JOIN) (\w+)", path.read_text()))
    assert named - SQL_FUNCTIONS <= tables, f"{relative_name(path)} uses tables of another component"


@pytest.mark.parametrize("path", sorted((ROOT / "actors").rglob("rules/*.py")), ids=relative_name)
def test_rules_import_no_library_but_msgspec(path: Path) -> None:
    assert {module.partition(".")[0] for module in imports(path)} <= STANDARD | {"innkeeper", "msgspec"}


@pytest.mark.parametrize(
    "path", [*sources("protocol"), *sorted((ROOT / "actors").rglob("rules/*.py"))], ids=relative_name
)
def test_rules_use_no_clock_randomness_or_io(path: Path) -> None:
    assert not {module.partition(".")[0] for module in imports(path)} & IMPURE
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not {call for call in called if re.search(r"\b(now|today|utcnow|time_ns|monotonic|open|print)$", call)}


def test_run_imports_from_every_folder() -> None:
    composed = {module.split(".")[1] for module in imports(ROOT / "run.py") if module.startswith("innkeeper.")}
    assert composed == {path.relative_to(ROOT).parts[0] for path in SOURCES}


def test_no_folder_hides_http_of_the_standard_library() -> None:
    assert not (ROOT / "http" / "__init__.py").exists()
    assert not (ROOT / "tests" / "http").exists()


def test_every_message_is_in_the_wire_table() -> None:
    in_table = set(wire.TABLE.values())
    for module, base in (
        (commands, Command),
        (queries, Query),
        (events, Event),
        (billing_commands, Command),
        (billing_queries, Query),
        (billing_events, Event),
        (delivery_events, Event),
        (billing_replies, Reply),
        (replies, Reply),
        (refusals, refusals.Refusal),
    ):
        for kind in vars(module).values():
            leaf = isinstance(kind, type) and issubclass(kind, base) and not kind.__subclasses__()
            if leaf or kind in (events.BookingConfirmed, events.BookingModified):
                assert kind in in_table, f"{kind.__name__} is not in the wire table"


def test_every_message_has_a_unique_name() -> None:
    assert not wire.TABLE.keys() & frames.MESSAGES.keys()
    assert len({kind.__name__ for kind in wire.TABLE.values()}) == len(wire.TABLE)


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(wire.REFUSALS)


def test_every_route_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in readme, f"{route.method} {route.path} is not in the README"
    documented = set(re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /[^`]*)`", readme))
    assert documented == {f"{route.method} {route.path}" for route in ROUTES}


def test_every_action_on_a_booking_is_in_the_readme() -> None:
    (row,) = [line for line in (ROOT / "README.md").read_text().splitlines() if "/bookings/{booking}/actions/" in line]
    without_fields = re.sub(r"\([^)]*\)", "", row.split("|")[2])
    documented = set(re.findall(r"`([a-z-]+)`", without_fields))
    assert documented == {kind.action for kind in commands.ACTIONS}


def test_every_route_is_in_the_openapi_document() -> None:
    paths = document()["paths"]
    for operation in OPERATIONS:
        assert operation.method.lower() in paths[operation.path.replace("{action}", "cancel")], operation.path


def test_every_code_of_a_problem_is_in_the_tables() -> None:
    of_the_gateway = {code for code in vars(problem_codes).values() if isinstance(code, problem_codes.ProblemCode)}
    assert set(PROBLEM_CODES) == of_the_gateway | set(problem_codes.CODE_OF.values())
    assert len({code.name for code in PROBLEM_CODES}) == len(PROBLEM_CODES)
    assert all(code.meaning.endswith(".") for code in PROBLEM_CODES)


def test_no_refusal_has_a_field_of_every_problem() -> None:
    for kind in STATUS:
        assert not set(kind.__struct_fields__) & set(Problem.__struct_fields__) - {"errors"}, kind.__name__


def test_every_limit_is_used() -> None:
    text = "\n".join(path.read_text() for path in SOURCES if path.name != "limits.py") + (ROOT / "run.py").read_text()
    for limit in vars(limits):
        if not limit.startswith("_"):
            assert re.search(rf"\b{limit}\b", text), f"{limit} is not used"


@pytest.mark.parametrize("path", ALL_FILES, ids=relative_name)
def test_files_have_a_docstring_and_files_and_functions_are_short(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{relative_name(path)} has no docstring"
    lines_max = LINES_PER_FILE_MAX if path != ROOT / "run.py" else LINES_OF_RUN_MAX
    assert len(path.read_text().splitlines()) <= lines_max
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LINES_PER_FUNCTION_MAX, f"{relative_name(path)}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", [path for path in ALL_FILES if "tests" not in path.parts], ids=relative_name)
def test_every_public_class_and_function_has_a_docstring(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.Module):
            for member in node.body:
                public = isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                if public and not member.name.startswith("_"):
                    assert ast.get_docstring(member), f"{relative_name(path)}: {member.name} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=relative_name)
def test_no_file_or_folder_has_a_meaningless_name(path: Path) -> None:
    assert not {path.stem, *path.relative_to(ROOT).parent.parts} & {
        "utils",
        "helpers",
        "manager",
        "base",
        "common",
        "misc",
    }


@pytest.mark.parametrize("path", ALL_FILES, ids=relative_name)
def test_no_field_hides_the_type_of_a_field(path: Path) -> None:
    """From Python 3.14 on annotations are evaluated late, when `date: date` means the field itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
            types = {one.id for field in fields for one in ast.walk(field.annotation) if isinstance(one, ast.Name)}
            assert not types & {ast.unparse(field.target) for field in fields}, f"{relative_name(path)}: {node.name}"


def test_no_committed_file_is_large() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("the project is not a git repository here")
    names = filter(None, listed.stdout.split("\0"))
    large = [name for name in names if (ROOT / name).is_file() and (ROOT / name).stat().st_size > BYTES_MAX]
    assert not large, "data of a run, or generated?"
