"""The file in a data directory that says which installation it is. It is written when the directory is made, and
replaced where a new timeline begins.

The file has a checksum, because a changed digit in it would otherwise be believed: with another number of partitions,
hotels would be looked for in the wrong journals.
"""

import secrets
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from innkeeper.protocol.values.installation import DEFAULT_NAME, FORM, Installation
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, OperatorError
from innkeeper.storage.new_files import replace_file, sync_folder, write_once

FILE_NAME: Final = "installation.json"
_FIRST_FORM_FILE = "partitions"
_ID_BYTES = 16


class DataRefused(OperatorError):
    """The data directory is damaged, incomplete, or of another form. Nothing was changed in it."""

    exit_code = EXIT_DAMAGED


class _Form(msgspec.Struct):
    form: int


class _Content(Installation, frozen=True, kw_only=True):
    form: int
    checksum: str


def find_installation(folder: Path) -> Installation | None:
    """Returns the installation whose data directory this folder is; None where the folder is none yet. Changes nothing.
    Raises DataRefused."""
    file = folder / FILE_NAME
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        _refuse_data_without_file(folder)
        return None
    except OSError as error:
        raise DataRefused(f"{file} cannot be read: {error.strerror}") from None
    try:
        form = msgspec.json.decode(content, type=_Form).form
        if form > FORM:
            raise DataRefused(
                f"{folder} was made by a newer Innkeeper (form {form}; this one reads form {FORM}); upgrade this one"
            )
        found = msgspec.json.decode(content, type=_Content)
    except (ValueError, RecursionError) as error:
        raise DataRefused(f"{file} is damaged ({error}); restore it from the backup of {folder}") from None
    installation = Installation(found.id, found.name, found.timeline, found.partitions)
    if form < FORM or found.checksum != _checksum(installation):
        raise DataRefused(f"{file} is damaged (its checksum is wrong); restore it from the backup of {folder}")
    return installation


def make_installation(folder: Path, name: str | None, partitions: int | None) -> Installation:
    """Makes this folder, which exists, the data directory of a new installation. Returns it, or the one that another
    process has made meanwhile. Returns when the file is on disk."""
    made = Installation(random_id(), name or DEFAULT_NAME, random_id(), partitions or 1)
    write_once(folder / FILE_NAME, _content(made))
    found = find_installation(folder)
    assert found is not None
    return found


def write_new_timeline(folder: Path, installation: Installation) -> Installation:
    """Replaces the file of this installation by one with a new timeline, and returns this installation, when
    the file is on disk. To be called under the lock of the folder. Raises OSError."""
    begun = msgspec.structs.replace(installation, timeline=random_id())
    replace_file(folder / FILE_NAME, _content(begun))
    sync_folder(folder)
    return begun


def random_id() -> str:
    """Returns a new id of an installation or a timeline."""
    return secrets.token_hex(_ID_BYTES)


def _refuse_data_without_file(folder: Path) -> None:
    if (folder / _FIRST_FORM_FILE).exists():
        raise DataRefused(
            f"{folder} was made by Innkeeper 0.1 (form 1), which this version cannot read; choose another with --data"
        )
    if any(folder.glob("*.db")):
        raise DataRefused(
            f"{folder / FILE_NAME} is missing although there are databases; restore it from the backup of {folder}"
        )


def _content(installation: Installation) -> bytes:
    fields = {"form": FORM, **msgspec.structs.asdict(installation), "checksum": _checksum(installation)}
    return msgspec.json.format(msgspec.json.encode(fields)) + b"\n"


def _checksum(installation: Installation) -> str:
    return blake2b(repr(msgspec.structs.astuple(installation)).encode(), digest_size=8).hexdigest()
