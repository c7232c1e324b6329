"""Which installation something belongs to: a data directory, a database, a message at a broker."""

from typing import Annotated, Final

import msgspec
from innkeeper.protocol.values.limits import partitions_max, slug_characters_max
from innkeeper.protocol.values.text import Slug
from msgspec import Meta

FORM: Final = 2
"""The form of a data directory that this version writes, and the only one that it reads."""
DEFAULT_NAME: Final = "innkeeper"
_SHORT_ID_CHARACTERS = 12

RandomId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?![\s\S])")]
"""128 random bits as hexadecimal digits."""


class Installation(msgspec.Struct, frozen=True):
    """An installation. Its `name` is chosen by the operator, and part of what it publishes to brokers; its `id` is
    random, so that two installations of one name differ. A new `timeline` begins where the journal continues
    differently than before. All of it is fixed when the installation is made, except the timeline."""

    id: RandomId
    name: Slug
    timeline: RandomId
    partitions: Annotated[int, Meta(ge=1, le=partitions_max)]

    @property
    def short_id(self) -> str:
        """The beginning of the id, which is enough to distinguish installations that share a broker."""
        return self.id[:_SHORT_ID_CHARACTERS]


def installation_name(text: str) -> str:
    """Returns the text as the name of an installation. Raises ValueError where it cannot be one."""
    try:
        return msgspec.convert(text, Slug)
    except msgspec.ValidationError:
        raise ValueError(
            f"{text!r} is no name: at most {slug_characters_max} lower-case letters a to z, digits, and hyphens between"
            " them"
        ) from None
