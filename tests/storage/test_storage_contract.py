"""What every storage engine does with an installation as a whole."""

from pathlib import Path

import pytest
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values.operator_error import OperatorError
from support.storages import ENGINES


def test_the_number_of_partitions_cannot_be_changed(storage: Storage) -> None:
    made = storage.installation()
    assert storage.installation(partitions=1) == made
    with pytest.raises(OperatorError, match=r"cannot be changed to .*7"):
        storage.installation(partitions=7)
    assert storage.installation() == made


def test_the_name_of_an_installation_cannot_be_changed(storage: Storage) -> None:
    made = storage.installation()
    assert (made.name, storage.installation("innkeeper")) == ("innkeeper", made)
    with pytest.raises(OperatorError, match=r"'innkeeper'.* to 'north'"):
        storage.installation("north")
    assert storage.installation() == made


def test_nothing_is_a_journal_before_it_is_opened(storage: Storage) -> None:
    assert storage.journals() == set()
    storage.journal("delivery").close()
    assert storage.journals() == {"delivery"}


def test_the_key_of_the_locators_is_a_random_secret_that_stays(storage: Storage, tmp_path: Path) -> None:
    key = storage.locator_key()
    storage.journal("reservations").close()
    assert (len(key), storage.locator_key()) == (32, key)
    (tmp_path / "another").mkdir()
    assert all(engine(tmp_path / "another").locator_key() != key for engine in ENGINES.values())
