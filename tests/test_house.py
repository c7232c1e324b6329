"""The house is kept tidy: who may import whom, what is in the tables, and how long a thing may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.http.api.openapi import document
from innkeeper.http.api.routes import OPERATIONS, ROUTES
from innkeeper.http.problems import STATUS
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing import queries as billing_queries
from innkeeper.protocol.billing import replies as billing_replies
from innkeeper.protocol.codec import wire
from innkeeper.protocol.delivery import events as delivery_events
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands, events, queries, replies
from innkeeper.protocol.values import limits

HOUSE = Path(__file__).parents[1]
ROOMS = {"protocol", "actors", "storage", "http", "delivery"}
LINES_PER_FILE_MAX = 400
LINES_OF_THE_FRONT_DOOR_MAX = 600
LINES_PER_FUNCTION_MAX = 60

# What each room may import of ours, and of others beyond the standard library.
ARROWS = {
    "protocol": ({"protocol"}, {"msgspec", "msgpack", "iso4217"}),
    "actors/rules": ({"protocol", "actors.rules"}, {"msgspec"}),
    "actors": ({"protocol", "actors"}, {"msgspec", "thespian"}),
    "storage": ({"protocol", "storage"}, {"msgspec", "sqlite_utils"}),
    "delivery": (
        {"protocol", "delivery"},
        {"aio_pika", "aiohttp", "aiokafka", "aiormq", "aiosmtplib", "babel", "fsspec", "jinja2", "msgspec", "yarl"},
    ),
    "http": (
        {"protocol", "http"},
        {"aiohttp", "font_source_sans_pro", "fpdf", "jinja2", "msgspec", "prometheus_client", "tqdm"},
    ),
}
STANDARD = set(__import__("sys").stdlib_module_names)
IMPURE = {"asyncio", "socket", "sqlite3", "threading", "random", "os", "secrets", "uuid", "logging", "pathlib"}


def sources(*folders: str) -> list[Path]:
    """All source files under these folders."""
    return sorted(path for folder in folders for path in (HOUSE / folder).rglob("*.py"))


OURS = sources(*(room for room in ROOMS if (HOUSE / room).exists()))
EVERYTHING = [*OURS, HOUSE / "run.py", *sources("tests")]


def name(path: Path) -> str:
    """The file, as seen from the front door."""
    return path.relative_to(HOUSE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relative to itself"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    """In which room a file lies."""
    return max((room for room in ARROWS if name(path).startswith(f"{room}/")), key=len)


@pytest.mark.parametrize("path", OURS, ids=name)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    ours, others = ARROWS[room_of(path)]
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "innkeeper":
            assert any(f"{rest}.".startswith(f"{room}.") for room in ours), f"{name(path)} imports {module}"
        else:
            assert top in STANDARD | others, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", sources("actors/rules", "protocol"), ids=name)
def test_a_rule_knows_no_clock_no_chance_and_no_world(path: Path) -> None:
    assert not {module.partition(".")[0] for module in imports(path)} & IMPURE
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not {call for call in called if re.search(r"\b(now|today|utcnow|time_ns|monotonic|open|print)$", call)}


def test_only_the_front_door_knows_all_rooms() -> None:
    known = {module.split(".")[1] for module in imports(HOUSE / "run.py") if module.startswith("innkeeper.")}
    assert known == {path.relative_to(HOUSE).parts[0] for path in OURS}


def test_the_standard_library_keeps_its_http() -> None:
    assert not (HOUSE / "http" / "__init__.py").exists()
    assert not (HOUSE / "tests" / "http").exists()


def test_every_message_is_in_the_wire_table() -> None:
    said = set(wire.TABLE.values())
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
                assert kind in said, f"{kind.__name__} is not in the wire table"


def test_every_message_has_a_name_of_its_own() -> None:
    assert len({kind.__name__ for kind in wire.TABLE.values()}) == len(wire.TABLE)


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(wire.REFUSALS)


def test_every_route_is_in_the_readme() -> None:
    readme = (HOUSE / "README.md").read_text()
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in readme, f"{route.method} {route.path} is not in the README"
    told = set(re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /[^`]*)`", readme))
    assert told == {f"{route.method} {route.path}" for route in ROUTES}


def test_every_route_is_in_the_openapi_document() -> None:
    paths = document()["paths"]
    for operation in OPERATIONS:
        assert operation.method.lower() in paths[operation.path.replace("{action}", "cancel")], operation.path


def test_every_limit_is_used_and_told() -> None:
    text = "\n".join(path.read_text() for path in OURS if path.name != "limits.py") + (HOUSE / "run.py").read_text()
    for limit in vars(limits):
        if not limit.startswith("_"):
            assert re.search(rf"\b{limit}\b", text), f"nobody uses {limit}"


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_a_file_says_why_it_exists_and_fits_the_eye(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{name(path)} does not say why it exists"
    most = LINES_PER_FILE_MAX if path != HOUSE / "run.py" else LINES_OF_THE_FRONT_DOOR_MAX
    assert len(path.read_text().splitlines()) <= most
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LINES_PER_FUNCTION_MAX, f"{name(path)}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", [path for path in EVERYTHING if "tests" not in path.parts], ids=name)
def test_what_others_use_has_a_docstring(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.Module):
            for member in node.body:
                public = isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                if public and not member.name.startswith("_"):
                    assert ast.get_docstring(member), f"{name(path)}: {member.name} has no docstring"


@pytest.mark.parametrize("path", OURS, ids=name)
def test_no_file_has_a_name_that_says_nothing(path: Path) -> None:
    assert not {path.stem, *path.relative_to(HOUSE).parent.parts} & {
        "utils",
        "helpers",
        "manager",
        "base",
        "common",
        "misc",
    }


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_no_field_hides_the_type_of_a_field(path: Path) -> None:
    """From Python 3.14 on annotations are evaluated late, when `date: date` means the field itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
            types = {one.id for field in fields for one in ast.walk(field.annotation) if isinstance(one, ast.Name)}
            assert not types & {ast.unparse(field.target) for field in fields}, f"{name(path)}: {node.name}"
