"""The bills of `bills.toml`, with the totals that a bookkeeper worked out by hand."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from innkeeper.storage.audit.billing import BillingAuditor
from support.bill_story import BillStory

TABLE = tomllib.loads((Path(__file__).parent / "bills.toml").read_text(encoding="utf-8"))
BILLS: list[dict[str, Any]] = TABLE["bill"]


@pytest.mark.parametrize("bill", BILLS, ids=[bill["title"] for bill in BILLS])
def test_a_bill_is_what_was_worked_out_by_hand(bill: dict[str, Any]) -> None:
    story = BillStory(bill, TABLE["tax"])
    story.play()
    told = story.told()
    assert {field: told.get(field) for field in bill["expect"]} == bill["expect"]
    auditor = BillingAuditor()
    auditor.handle(story.ledger.records)
    assert auditor.violations == []


def test_there_are_at_least_forty_bills_and_each_says_its_total() -> None:
    assert len(BILLS) >= 40
    assert len({bill["title"] for bill in BILLS}) == len(BILLS)
    assert all({"quoted", "balance"} <= bill["expect"].keys() for bill in BILLS)
