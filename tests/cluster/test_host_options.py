"""The command-line options for host names and trusted proxies, and that real processes obey them."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from innkeeper.http.commands.command_line import parse
from innkeeper.http.middleware import HostPolicy
from support.gateway import assert_problem, send
from support.installation import Installation
from support.server_process import START_SECONDS_MAX, ServerProcess, program_command

KEY = "a-key-of-twenty-characters"


@pytest.mark.parametrize("command", ["serve", "gateway"])
def test_host_names_and_proxies_are_given_singly_or_as_a_list(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (parse([command]).host_name, parse([command]).trusted_proxy) == ((), ())
    options = parse(
        [command, "--host-name", "Hotel.Example.", "--host-name", "[2001:db8::7]", "--host-name", "a.b,c.d"]
    )
    assert options.host_name == ("hotel.example", "2001:db8::7", "a.b", "c.d")
    monkeypatch.setenv("INNKEEPER_HOST_NAME", "one.example, 2001:db8::8 ,")
    monkeypatch.setenv("INNKEEPER_TRUSTED_PROXY", "10.0.0.0/8,::1")
    options = parse([command])
    assert options.host_name == ("one.example", "2001:db8::8")
    assert [*map(str, options.trusted_proxy)] == ["10.0.0.0/8", "::1/128"]
    assert parse([command, "--host-name", "other.example"]).host_name == ("other.example",)
    assert isinstance(HostPolicy.from_options(options), HostPolicy)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--host-name", "hotel.example:8443", "must not have a port"),
        ("--host-name", "https://hotel.example", "is not a host name"),
        ("--host-name", "*.hotel.example", "is not a host name"),
        ("--host-name", "hôtel.example", "xn--"),
        ("--trusted-proxy", "proxy.example", "IPv4 or IPv6"),
        ("--trusted-proxy", "10.0.0.1/8", "host bits"),
    ],
)
def test_a_malformed_host_name_or_network_is_refused(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        parse(["serve", option, value])
    assert message in capsys.readouterr().err
    monkeypatch.setenv(f"INNKEEPER_{option.strip('-').upper().replace('-', '_')}", value)
    with pytest.raises(SystemExit):
        parse(["serve"])
    assert message in capsys.readouterr().err


def test_the_demo_takes_no_host_name_and_listens_on_loopback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["demo", "--host-name", "hotel.example"])
    assert "--host-name" in capsys.readouterr().err
    assert (parse(["demo"]).host, parse(["demo"]).host_name, parse(["demo"]).trusted_proxy) == ("127.0.0.1", (), ())


def check(port: int, hosts: tuple[str, ...], key: dict[str, str]) -> None:
    """Check that requests to these hosts are answered, and that other hosts and pages of other origins are refused."""
    for host in hosts:
        assert send(port, "GET", "/v1/hotels", None, {"Host": host, **key}).status == 200
        pause = "/v1/subscribers/billing/actions/pause"
        foreign = {"Host": host, "Origin": "http://stranger.test", **key}
        assert_problem(send(port, "POST", pause, None, foreign), 403, "cross_origin")
        assert_problem(send(port, "POST", pause, b"x", {"Host": host, "Content-Type": "text/plain", **key}), 415)
        reply = send(port, "POST", pause, None, {"Host": host, "Origin": f"http://{host}", **key})
        assert reply.status == 200, reply
    assert_problem(send(port, "GET", "/v1/hotels", None, {"Host": "stranger.test", **key}), 421, "unknown_host")
    assert send(port, "GET", "/health/ready", None, {"Host": "stranger.test"}).status == 200


@pytest.mark.slow
def test_the_demo_checks_hosts_in_one_process_and_in_several(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "one")
    try:
        check(int(server.url.rpartition(":")[2]), ("localhost:80", "127.0.0.1"), {})
    finally:
        server.close()
    installation = Installation(tmp_path / "several", "--workers", "2")
    try:
        check(installation.port, ("localhost:80", "127.0.0.1"), {})
    finally:
        installation.close()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[int]:
    """The port of a `run.py serve` on a free port of this machine."""
    (folder / "keys").write_text(f"test:{KEY}\n")
    log = folder / "log"
    command = program_command(
        "serve", "--host", "127.0.0.1", "--port", "0", "--keys", folder / "keys", "--data", folder / "data"
    )
    with log.open("w") as stderr:
        process = subprocess.Popen([*command, *options], stderr=stderr)
    try:
        deadline = monotonic() + START_SECONDS_MAX
        while not (match := re.search(r"Serving http://127.0.0.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert monotonic() < deadline, log.read_text()
            sleep(0.02)
        yield int(match[1])
    finally:
        process.terminate()
        process.wait(START_SECONDS_MAX)


@pytest.mark.parametrize("split", [(), ("--processes", "--workers", "2")], ids=str)
def test_a_server_accepts_the_host_names_that_it_is_given(tmp_path: Path, split: tuple[str, ...]) -> None:
    names = ("--host-name", "hotel.example", "--host-name", "desk.example", "--trusted-proxy", "127.0.0.0/8")
    key = {"Authorization": f"Bearer {KEY}"}
    with served(tmp_path, *names, *split) as port:
        check(port, ("hotel.example", "desk.example:8443", "localhost", "127.0.0.1"), key)
        forwarded = {"Host": "upstream", "X-Forwarded-Host": "hotel.example", "X-Forwarded-Proto": "https", **key}
        assert send(port, "GET", "/v1/hotels", None, forwarded).status == 200
        of_page = forwarded | {"Origin": "https://hotel.example"}
        assert send(port, "POST", "/v1/subscribers/billing/actions/resume", None, of_page).status == 200
