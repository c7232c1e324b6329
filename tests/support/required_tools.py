"""What a newcomer's machine may lack is skipped with a reason; with INNKEEPER_DEMAND_ALL, as in CI, it fails."""

import os

import pytest

DEMAND_ALL = bool(os.environ.get("INNKEEPER_DEMAND_ALL"))


def require(present: bool, reason: str) -> None:
    """Skip this test for this reason, unless everything is demanded here."""
    if present:
        return
    if DEMAND_ALL:
        pytest.fail(reason)
    pytest.skip(reason)
