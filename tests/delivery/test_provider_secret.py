"""The file of the simulated payment provider's secret: made once, and refused where it is damaged."""

from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.adapters import SecretDamaged, providers
from innkeeper.delivery.integrations import SIMULATED, Integrations
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED


async def ignore(*_: Any) -> None:
    """Receives a notification."""


def provider(file: Path) -> Any:
    """The simulated provider with the secret in this file."""
    return providers(Integrations(simulated_payments=True), file, ignore, lambda: 0)[SIMULATED]


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "provider.secret"
    assert provider(file).secrets == provider(file).secrets == (file.read_text(),)


@pytest.mark.parametrize("change", ["", "whsec_", "a letter \xc6 more", "whsec_!", "sec"])
def test_a_damaged_secret_is_refused_on_one_line(change: str, tmp_path: Path) -> None:
    file = tmp_path / "provider.secret"
    file.write_bytes(change.encode("latin-1"))
    with pytest.raises(
        SecretDamaged, match=r"^\S+provider\.secret is damaged; restore it .* to get another$"
    ) as refused:
        provider(file)
    assert refused.value.exit_code == EXIT_DAMAGED
