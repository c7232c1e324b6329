"""The page at `/`: what is served, and what a real browser makes of it. It shows who stays where, and takes nothing
from support.paths import ROOT
from a guest but text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.browser import Page, open_page
from support.gateway import Gateway, assert_problem, gateway
from support.paths import ROOT

PARTS = ROOT / "http" / "pages"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
}  # fmt: skip
MARKUP = "<img src=x onerror=document.title='taken'>"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


@contextmanager
def shown(front: Gateway, profile: Path, address: str = "") -> Iterator[Page]:
    """The page in a browser, after its first look."""
    with open_page(f"http://127.0.0.1:{front.port}/{address}", profile) as page:
        page.wait_until("document.getElementById('updated')?.textContent.includes('p to date at')")
        yield page


def seen_in_browser(front: Gateway, profile: Path, address: str = "") -> str:
    """The page as the browser has made it, after its scripts have run."""
    with shown(front, profile, address) as page:
        return page.html()


def test_the_page_allows_nothing_but_what_comes_from_here(front: Gateway) -> None:
    served = {"/": PARTS / "front_desk.html"} | {f"/pages/{part.name}": part for part in PARTS.iterdir()}
    for path, file in served.items():
        reply = front.get(path)
        assert (reply.status, reply.body) == (200, file.read_bytes()), path
        assert reply.headers["content-type"] == f"{TYPES[file.suffix]}; charset=utf-8"
        assert set(reply.headers["content-security-policy"].split("; ")) == POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-cache", "an old script may not meet a new page"


@pytest.mark.parametrize("part", sorted(PARTS.iterdir()), ids=lambda part: part.name)
def test_no_part_names_another_host_or_makes_markup_from_text(part: Path) -> None:
    text = part.read_text()
    assert not re.search(r"https?://|\burl\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)
    if part.suffix == ".html":
        assert not re.search(r"\s(style|on\w+)=|<style|<script(?![^>]*\bsrc=)", text)
    for name in re.findall(r'from "\./(\w+\.js)"|/pages/([\w.]+)"', text):
        assert (PARTS / "".join(name)).exists(), f"{part.name} asks for {name}"


def test_nothing_but_the_parts_of_the_page_is_given_away(front: Gateway) -> None:
    for path in (
        "/pages",
        "/pages/",
        "/pages/../run.py",
        "/pages/..%2fapp.py",
        "/pages/%2e%2e/app.py",
        "/pages/none",
        "/pages/%00",
    ):
        assert_problem(front.get(path), 404)


def test_the_chart_shows_who_stays_where(front: Gateway, tmp_path: Path) -> None:
    hotel = front.open_hotel({"DBL": 2}, name="Hotel do Mar")
    booking = front.book(hotel, 0, 3, guest={"name": "Ana Sousa"})
    page = seen_in_browser(front, tmp_path / "profile")
    assert '<span class="name">Ana Sousa</span>' in page
    assert "Hotel do Mar" in page
    assert f"({booking['locator']})" in page
    assert 'aria-label="Mon 1 Jun: 1 of 2 DBL free"' in page


def test_a_link_to_a_booking_opens_all_about_it(front: Gateway, tmp_path: Path) -> None:
    hotel = front.open_hotel(id="seaside")
    booking = front.book(hotel, 1, 2, guest={"name": "Ana Sousa", "email": "ana@example.com"}, notes="late arrival")
    front.act(hotel, booking, "pin")
    page = seen_in_browser(front, tmp_path / "profile", f"#hotel=seaside&booking={booking['id']}")
    assert '<h2 id="guest">Ana Sousa</h2>' in page
    for fact in (booking["locator"], "ana@example.com", "late arrival", "101, DBL, promised"):
        assert f"<dd>{fact}</dd>" in page
    for text in ("Wed 3 Jun", "200.00 EUR", "pinned"):
        assert f">{text}<" in page


def test_a_name_that_is_markup_stays_text(front: Gateway, tmp_path: Path) -> None:
    booking = front.book(front.open_hotel(id="seaside"), 0, guest={"name": MARKUP}, notes=MARKUP)
    page = seen_in_browser(front, tmp_path / "profile", f"#hotel=seaside&booking={booking['id']}")
    assert page.count("&lt;img src=x") >= 3, "in the chart, as the panel's title, and in the notes"
    assert "<img" not in page
    assert "<title>Seaside" in page


def test_an_empty_house_says_what_to_do_next(front: Gateway, tmp_path: Path) -> None:
    page = seen_in_browser(front, tmp_path / "profile")
    assert '<section id="nothing">' in page
    assert f"curl http://127.0.0.1:{front.port}/v1/hotels" in page


def test_the_chart_shows_a_booking_as_soon_as_it_is_made(front: Gateway, tmp_path: Path) -> None:
    hotel = front.open_hotel({"DBL": 2})
    with shown(front, tmp_path / "profile") as page:
        page.wait_until("document.getElementById('updated').textContent.startsWith('Live')")
        booking = front.book(hotel, 0, 2, guest={"name": "Ana Sousa"})
        page.wait_until("[...document.querySelectorAll('.stay .name')].some(name => name.textContent === 'Ana Sousa')")
        assert f"({booking['locator']})" in page.html()
