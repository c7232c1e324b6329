"""The guard permits webhooks to public addresses only, and those of a demo to loopback only."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest
from aiohttp import ClientConnectorError, ClientSession
from innkeeper.delivery.webhooks.guard import (
    AddressGuard,
    ForbiddenAddress,
    check_url,
    guarded_connector,
    look_up,
    permitted,
    url_fault,
)
from innkeeper.protocol.messages.refusals import FieldError, InvalidRequest, Refused
from innkeeper.protocol.values.limits import webhook_url_characters_max, webhooks_max

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
    "169.253.255.255", "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111",
    "2a00:1450:4001::200e", "2001:200::1", "2001:db7::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip
NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "::1",  # loopback
    "0.0.0.0", "0.1.2.3", "::",  # unspecified
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # private
    "fc00::1", "fdff::1", "fec0::1",  # unique local, site-local
    "169.254.0.1", "fe80::1", "fe80::1%eth0", "2606:4700::1111%1",  # link-local, or bound to a link
    "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",  # metadata of clouds
    "100.64.0.1", "100.127.255.255",  # shared
    "224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1",  # multicast
    "240.0.0.1", "255.255.255.255", "4000::1", "5f00::1", "100::1",  # reserved, broadcast, discarded
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1",  # documentation
    "198.18.0.1", "2001:2::1",  # benchmarks
    "192.88.99.1", "192.0.0.1",  # relays, protocol assignments
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",  # mapped
    "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",  # compatible, translated
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",  # NAT64, and the local kind
    "2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::",  # 6to4
    "2001::1", "2001:0:808:808:0:ffff:f5ff:fffe", "2001:20::1",  # Teredo, ORCHID
    "", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1 ", "1.2.3.4.5", "not an address",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1"]

GOOD_URLS = [
    "https://example.com", "https://example.com/", "http://example.com", "HTTPS://Example.COM/Hook",
    "https://example.com:8443/hook?a=1&b=%20#".rstrip("#"), "https://example.com:1", "https://example.com:65535/",
    "https://example.com./", "https://a.b-c.d_e.example/x", "https://xn--mnchen-3ya.example/", "https://example.com?x=/@:",
    "https://8.8.8.8/", "https://[2606:4700::1111]:8443/x", "https://example.com/@a:b", "https://3com.example/",
    "https://example.com/" + "a" * (webhook_url_characters_max - 20),
]  # fmt: skip
BAD_URLS = {
    "characters": [
        "", "https://exa mple.com/", "https://example.com/\n", "https://exa\tmple.com/", " https://example.com/",
        "https://münchen.de/", "http://１２７.0.0.1/", "http://127。0。0。1/", "https://example.com\\@x/",
        "https://example.com/\x00", "https://example.com/100%", "https://example.com/%zz", "https://{host}/",
    ],
    "length": ["https://example.com/" + "a" * (webhook_url_characters_max - 19)],
    "scheme": [
        "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "https:example.com",
        "https:/example.com", "javascript:alert(1)", "gopher://example.com:6379/", "unix:///run/x.sock",
    ],
    "fragment": ["https://example.com/#here", "https://example.com#", "https://example.com#@10.0.0.1/"],
    "user_info": ["https://me@example.com/", "https://me:secret@example.com/", "https://@example.com/"],
    "host": [
        "https://", "https:///hook", "https://:443/", "https://?x", "https://./", "https://a..b/", "https://.a/",
        "https://-a.com/", "https://a-.com/", "https://a%2eb/", "https://%31%32%37.0.0.1/", "https://[::1/",
        "https://::1/", "https://[::1]x/", "https://[]/", "https://[v1.a]/", "https://a,b/",
        f"https://{'a' * 64}.com/", f"https://{'a.' * 127}com/",
        "http://2130706433/", "http://0x7f.1/", "http://0x7f000001/", "http://0X7F.0.0.0x1/", "http://127.1/",
        "http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.1./", "http://0/", "http://256.1.1.1/",
        "http://1.2.3.4.5/", "http://example.1/",
    ],
    "port": [
        "https://example.com:0/", "https://example.com:65536/", "https://example.com:/", "https://example.com:-1/",
        "https://example.com:x/", "https://example.com:80:80/", "https://example.com:+80/", "https://example.com:080/",
        "https://example.com:999999999999/",
    ],
    "address": [
        "http://127.0.0.1/", "http://127.0.0.1:8080/", "http://0.0.0.0/", "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data/", "http://[::]/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/", "http://[fe80::1%25eth0]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://localhost/", "http://LOCALHOST./", "http://hook.localhost:80/",
    ],
}  # fmt: skip


class NameServer:
    """A name server that gives these answers in turn, and repeats the last one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.lookups: list[str] = []

    def __call__(self, name: str) -> Sequence[str]:
        self.lookups.append(name)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def resolved(guard: AddressGuard, times: int = 1) -> list[str]:
    """The addresses that the guard permits for a name, at the last of this many look-ups."""
    try:
        for _ in range(times - 1):
            await guard.resolve("hook.example", 443)
        return [found["host"] for found in await guard.resolve("hook.example", 443)]
    finally:
        await guard.close()


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_permitted(address: str) -> None:
    assert permitted(address)
    assert not permitted(address, to_loopback=True)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not_permitted(address: str) -> None:
    assert not permitted(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_demo_permits_loopback_addresses(address: str) -> None:
    assert permitted(address, to_loopback=True)


@pytest.mark.parametrize(
    "address", [address for address in NOT_PUBLIC if address not in (*LOOPBACK, "127.255.255.254")]
)
def test_a_demo_permits_no_other_address(address: str) -> None:
    assert not permitted(address, to_loopback=True)


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_to_the_public_internet_is_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(("rule", "url"), [(rule, url) for rule, urls in BAD_URLS.items() for url in urls])
def test_a_forbidden_url_is_refused_with_the_rule_that_it_breaks(rule: str, url: str) -> None:
    with pytest.raises(Refused) as caught:
        check_url(url)
    refusal = caught.value.refusal
    assert isinstance(refusal, InvalidRequest)
    (error,) = refusal.errors
    assert (error.field, error.rule) == ("url", rule)
    assert error.message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost:80/", "http://any.name/"]
)
def test_a_demo_accepts_a_url_with_a_loopback_address_or_a_name(url: str) -> None:
    assert url_fault(url, to_loopback=True) is None


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "http://10.0.0.1/", "http://[2606:4700::1111]/", "http://0.0.0.0/"])
def test_a_demo_refuses_a_url_with_another_address(url: str) -> None:
    fault = url_fault(url, to_loopback=True)
    assert isinstance(fault, FieldError)
    assert fault.rule == "address"


def test_a_name_with_public_addresses_resolves_to_them() -> None:
    async def check() -> None:
        name_server = NameServer(["93.184.215.14", "2606:4700::1111"])
        found = await AddressGuard(lookup=name_server).resolve("hook.example", 443)
        assert [(one["host"], one["port"], one["family"]) for one in found] == [
            ("93.184.215.14", 443, socket.AF_INET),
            ("2606:4700::1111", 443, socket.AF_INET6),
        ]
        assert name_server.lookups == ["hook.example"]

    asyncio.run(check())


@pytest.mark.parametrize(
    "forbidden", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%2", "::ffff:10.0.0.1"]
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_name_with_one_address_that_is_not_public_is_refused(forbidden: str, index: int) -> None:
    answer = ["93.184.215.14", "2606:4700::1111"]
    answer.insert(index, forbidden)
    with pytest.raises(ForbiddenAddress):
        asyncio.run(resolved(AddressGuard(lookup=NameServer(answer))))


def test_a_name_is_checked_at_each_look_up() -> None:
    name_server = NameServer(["93.184.215.14"], ["127.0.0.1"])
    with pytest.raises(ForbiddenAddress):
        asyncio.run(resolved(AddressGuard(lookup=name_server), times=2))
    assert len(name_server.lookups) == 2


def test_a_name_without_addresses_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        asyncio.run(resolved(AddressGuard(lookup=NameServer([]))))


def test_a_name_server_that_does_not_answer_does_not_block_other_threads() -> None:
    released = threading.Event()

    def never_answer(name: str) -> Sequence[str]:
        released.wait(120)
        return []

    async def check() -> None:
        guard = AddressGuard(lookup=never_answer)
        pending = [asyncio.create_task(guard.resolve("slow.example", 443)) for _ in range(50)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(lambda: "read from the disk") == "read from the disk"
        assert not any(task.done() for task in pending)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        released.set()
        await guard.close()

    asyncio.run(check())


def test_names_that_are_not_answered_do_not_delay_the_look_ups_of_others() -> None:
    """As many names as there can be webhooks; each is asked again and again, and blocks one thread only."""
    released = threading.Event()
    asked: list[str] = []

    def answer_one(name: str) -> Sequence[str]:
        asked.append(name)
        if name != "healthy.example":
            released.wait(120)
        return ["8.8.8.8"]

    async def check() -> None:
        guard = AddressGuard(lookup=answer_one)
        for _ in range(5):
            names = [f"slow-{number}.example" for number in range(webhooks_max)]
            pending = [asyncio.create_task(guard.resolve(name, 443)) for name in names]
            async with asyncio.timeout(60):
                (address,) = await guard.resolve("healthy.example", 443)
            assert address["host"] == "8.8.8.8"
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        assert len(asked) == webhooks_max + 5
        released.set()
        await guard.close()

    asyncio.run(check())


def test_the_resolver_of_the_system_finds_localhost() -> None:
    assert set(look_up("localhost")) & {"127.0.0.1", "::1"}


OTHER_NAMES_OF_LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "localhost",
    "[::ffff:127.0.0.1]",
]


@pytest.mark.parametrize("host", OTHER_NAMES_OF_LOOPBACK)
def test_a_connection_without_a_check_of_its_url_is_refused_too(host: str) -> None:
    async def check() -> None:
        connected = 0

        def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connected
            connected += 1
            writer.close()

        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        guard = AddressGuard()
        async with server, ClientSession(connector=guarded_connector(guard)) as session:
            with pytest.raises((ClientConnectorError, ValueError)):
                await session.get(f"http://{host}:{port}/")
            await asyncio.sleep(0.01)
        await guard.close()
        assert connected == 0

    asyncio.run(check())


def test_no_socket_is_opened_to_an_address_that_is_not_public() -> None:
    async def check() -> None:
        guard = AddressGuard()
        with pytest.raises(ForbiddenAddress):
            guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.1", 443)))
        guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 443))).close()
        await guard.close()

    asyncio.run(check())
