"""The page at `/`, in a real browser: it shows who stays where, and takes nothing from a guest but text."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from demanded import demand
from front_desk import FrontDesk, front_desk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture
def front(tmp_path: Path) -> FrontDesk:
    """A front desk of its own."""
    with front_desk(tmp_path) as opened:
        yield opened


def seen_in_browser(front: FrontDesk, profile: Path) -> str:
    """The page as the browser has made it, after its scripts have run."""
    demand(CHROMIUM is not None, "no Chromium on this machine; on Debian: apt install chromium")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=4000", "--dump-dom"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{front.port}/"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_page_and_its_parts_come_from_here_alone(front: FrontDesk) -> None:
    page = front.get("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    parts = re.findall(r'(?:href|src)="(/[^"]+)"', page.body.decode())
    assert len(parts) == 2
    for part in parts:
        reply = front.get(part)
        assert reply.status == 200
        assert not re.search(rb"https?://", reply.body), f"{part} speaks of another host"
    assert b"style=" not in page.body
    assert b"<script>" not in page.body


def test_nothing_but_the_page_s_parts_is_given_away(front: FrontDesk) -> None:
    for path in ("/pages/", "/pages/../run.py", "/pages/..%2fapp.py", "/pages/%2e%2e/app.py", "/pages/none"):
        assert front.get(path).status in (403, 404), path


def test_a_browser_shows_the_guests_on_the_chart(front: FrontDesk, tmp_path: Path) -> None:
    hotel = front.open({"DBL": 2}, name="Hotel do Mar")
    booking = front.book(hotel, 0, 3, guest={"name": "Ana Sousa"})
    page = seen_in_browser(front, tmp_path / "profile")
    assert "Ana Sousa" in page
    assert "Hotel do Mar" in page
    assert booking["locator"] in page


def test_a_name_that_is_markup_stays_text(front: FrontDesk, tmp_path: Path) -> None:
    front.book(front.open(), 0, guest={"name": "<img src=x onerror=document.title=1>"})
    page = seen_in_browser(front, tmp_path / "profile")
    assert "&lt;img src=x" in page
    assert "<img" not in page


def test_an_empty_house_says_what_to_do_next(front: FrontDesk, tmp_path: Path) -> None:
    page = seen_in_browser(front, tmp_path / "profile")
    assert "No hotel is open yet" in page
    assert "/v1/hotels" in page
