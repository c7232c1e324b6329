"""docs/errors.md is what the types of the refusals say."""

import re

from innkeeper.http.problem_codes import PROBLEM_CODES
from support import errors_page


def test_the_page_of_errors_says_what_the_refusals_are() -> None:
    assert errors_page.PAGE.read_text() == errors_page.page(), "docs/errors.md is not up to date; write it: make errors"


def test_every_code_has_a_row_with_its_status_meaning_and_fields() -> None:
    lines = errors_page.PAGE.read_text().splitlines()
    for code in PROBLEM_CODES:
        (row,) = [line for line in lines if line.startswith(f"| {code.status} | `{code.name}` | {code.meaning} | ")]
        own = code.refusal.__struct_fields__ if code.refusal else ()
        assert all(f"`{field}`" in row for field in own), row


def test_the_links_have_targets() -> None:
    page = errors_page.PAGE.read_text()
    assert set(re.findall(r"\]\(#(\w+)\)", page)) == set(re.findall(r'<a name="(\w+)">', page))
