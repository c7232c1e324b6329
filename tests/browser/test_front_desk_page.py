"""The front desk page at `/`: its files and headers, and what it shows in a real browser. What guests enter is shown as
text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.browser import Page, open_page
from support.gateway import Gateway, assert_problem
from support.gateway import gateway as running_gateway
from support.paths import ROOT

PAGES = ROOT / "http" / "pages"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
}  # fmt: skip
MARKUP = "<img src=x onerror=document.title='taken'>"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


@contextmanager
def front_desk_page(gateway: Gateway, profile: Path, address: str = "") -> Iterator[Page]:
    """The page in a browser, once it has loaded its data."""
    with open_page(f"http://127.0.0.1:{gateway.port}/{address}", profile) as page:
        page.wait_until("document.getElementById('updated')?.textContent.includes('p to date at')")
        yield page


def markup_in_browser(gateway: Gateway, profile: Path, address: str = "") -> str:
    """The markup of the page after its scripts have run."""
    with front_desk_page(gateway, profile, address) as page:
        return page.html()


def test_the_page_is_served_with_a_policy_that_allows_only_its_own_origin(gateway: Gateway) -> None:
    served = {"/": PAGES / "front_desk.html"} | {f"/pages/{file.name}": file for file in PAGES.iterdir()}
    for path, file in served.items():
        reply = gateway.get(path)
        assert (reply.status, reply.body) == (200, file.read_bytes()), path
        assert reply.headers["content-type"] == f"{TYPES[file.suffix]}; charset=utf-8"
        assert set(reply.headers["content-security-policy"].split("; ")) == POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-cache", "a new page must not run an old script"


@pytest.mark.parametrize("file", sorted(PAGES.iterdir()), ids=lambda file: file.name)
def test_no_file_refers_to_another_host_or_makes_markup_from_text(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"https?://|\burl\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)
    if file.suffix == ".html":
        assert not re.search(r"\s(style|on\w+)=|<style|<script(?![^>]*\bsrc=)", text)
    for name in re.findall(r'from "\./(\w+\.js)"|/pages/([\w.]+)"', text):
        assert (PAGES / "".join(name)).exists(), f"{file.name} refers to {name}"


def test_only_the_files_of_the_page_are_served(gateway: Gateway) -> None:
    for path in (
        "/pages",
        "/pages/",
        "/pages/../run.py",
        "/pages/..%2fapp.py",
        "/pages/%2e%2e/app.py",
        "/pages/none",
        "/pages/%00",
    ):
        assert_problem(gateway.get(path), 404)


def test_the_tape_chart_shows_the_guest_of_each_booking(gateway: Gateway, tmp_path: Path) -> None:
    hotel = gateway.open_hotel({"DBL": 2}, name="Hotel do Mar")
    booking = gateway.book(hotel, 0, 3, guest={"name": "Ana Sousa"})
    page = markup_in_browser(gateway, tmp_path / "profile")
    assert '<span class="name">Ana Sousa</span>' in page
    assert "Hotel do Mar" in page
    assert f"({booking['locator']})" in page
    assert 'aria-label="Mon 1 Jun: 1 of 2 DBL free"' in page


def test_a_link_to_a_booking_opens_its_details(gateway: Gateway, tmp_path: Path) -> None:
    hotel = gateway.open_hotel(id="seaside")
    booking = gateway.book(hotel, 1, 2, guest={"name": "Ana Sousa", "email": "ana@example.com"}, notes="late arrival")
    gateway.act(hotel, booking, "pin")
    page = markup_in_browser(gateway, tmp_path / "profile", f"#hotel=seaside&booking={booking['id']}")
    assert '<h2 id="guest">Ana Sousa</h2>' in page
    for fact in (booking["locator"], "ana@example.com", "late arrival", "101, DBL, promised"):
        assert f"<dd>{fact}</dd>" in page
    for text in ("Wed 3 Jun", "200.00 EUR", "pinned"):
        assert f">{text}<" in page


def test_markup_in_a_name_is_shown_as_text(gateway: Gateway, tmp_path: Path) -> None:
    booking = gateway.book(gateway.open_hotel(id="seaside"), 0, guest={"name": MARKUP}, notes=MARKUP)
    page = markup_in_browser(gateway, tmp_path / "profile", f"#hotel=seaside&booking={booking['id']}")
    assert page.count("&lt;img src=x") >= 3, "in the chart, as the panel's title, and in the notes"
    assert "<img" not in page
    assert "<title>Seaside" in page


def test_a_page_without_hotels_shows_how_to_open_one(gateway: Gateway, tmp_path: Path) -> None:
    page = markup_in_browser(gateway, tmp_path / "profile")
    assert '<section id="nothing">' in page
    assert f"curl http://127.0.0.1:{gateway.port}/v1/hotels" in page


def test_the_tape_chart_shows_a_booking_as_soon_as_it_is_made(gateway: Gateway, tmp_path: Path) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    with front_desk_page(gateway, tmp_path / "profile") as page:
        page.wait_until("document.getElementById('updated').textContent.startsWith('Live')")
        booking = gateway.book(hotel, 0, 2, guest={"name": "Ana Sousa"})
        page.wait_until("[...document.querySelectorAll('.stay .name')].some(name => name.textContent === 'Ana Sousa')")
        assert f"({booking['locator']})" in page.html()
