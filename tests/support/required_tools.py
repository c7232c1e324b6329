"""Tests whose tools are missing are skipped with a reason; with INNKEEPER_DEMAND_ALL, as in CI, they fail."""

import os

import pytest

DEMAND_ALL = bool(os.environ.get("INNKEEPER_DEMAND_ALL"))


def require(present: bool, reason: str) -> None:
    """Skip this test for this reason, or fail it if all tools are demanded."""
    if present:
        return
    if DEMAND_ALL:
        pytest.fail(reason)
    pytest.skip(reason)
