"""The page of the API shows the OpenAPI document: every operation, and every code of an error."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.http.problem_codes import PROBLEM_CODES
from support.browser import open_page
from support.gateway import Gateway
from support.gateway import gateway as running_gateway
from support.openapi_schemas import OPERATIONS


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


def test_the_type_of_a_problem_is_a_link_to_what_it_means(gateway: Gateway, tmp_path: Path) -> None:
    problem = gateway.get("/v1/hotels/nowhere").json
    with open_page(f"http://127.0.0.1:{gateway.port}{problem['type']}", tmp_path / "profile") as page:
        page.wait_until("document.getElementById(location.hash.slice(1)) !== null")
        assert page.evaluate("document.getElementById(location.hash.slice(1)).cells[0].textContent") == problem["code"]
        page.wait_until("scrollY > 0")


def test_the_documentation_page_shows_every_operation(gateway: Gateway, tmp_path: Path) -> None:
    with open_page(f"http://127.0.0.1:{gateway.port}/docs", tmp_path / "profile") as page:
        page.wait_until(f"document.querySelectorAll('details').length === {len(OPERATIONS)}")
        shown = page.evaluate("document.getElementById('book').textContent")
        for text in (
            "/v1/hotels/{hotel}/bookings",
            "Idempotency-Key",
            "guest.name",
            "required",
            "Response 201",
            "price.total",
        ):
            assert text in shown
        assert "cannot be shown" not in page.html()
        errors = page.evaluate("document.getElementById('errors').textContent")
        for code in PROBLEM_CODES:
            assert f"{code.name}{code.status}{code.meaning}" in errors
        page.evaluate("filter.value = 'audit'; filter.dispatchEvent(new Event('input'))")
        page.wait_until("[...document.querySelectorAll('details')].filter(one => !one.hidden).length === 1")
