"""The details of guests as a partition's host needs them: from the journal, and from what is not on disk yet."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.refusals import GuestErased
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, StoredGuest, bare, with_details, without_details


class GuestLookup:
    """Finds details of guests. What was decided counts, whether it is on disk or not: the host keeps in `unsaved` and
    `forgotten` what is not on disk yet."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.unsaved: dict[GuestKey, StoredGuest] = {}
        self.forgotten: set[str] = set()

    def newest(self, ids: Collection[str]) -> dict[str, StoredGuest]:
        """Returns the newest version of each of these guests that is known, by id; without details once forgotten."""
        found = self._journal.newest_guests(ids)
        found.update((stored.guest.id, stored) for stored in self.unsaved.values() if stored.guest.id in ids)
        for id_ in self.forgotten & found.keys():
            found[id_] = msgspec.structs.replace(found[id_], guest=bare(found[id_].guest))
        return found

    def complete(self, kept: Mapping[int, Result]) -> dict[int, Result]:
        """Returns kept replies with the details of their guests, which are not kept with them. Refuses those whose
        guest is forgotten by now."""
        if not (keys := without_details(result.response for result in kept.values())):
            return {**kept}
        found = self._details(keys)
        return {number: _completed(result, found) for number, result in kept.items()}

    def _details(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        found = self._journal.guests([key for key in keys if key not in self.unsaved])
        unsaved = ((key, self.unsaved[key].guest.details) for key in keys if key in self.unsaved)
        found.update((key, details) for key, details in unsaved if details is not None)
        return {key: details for key, details in found.items() if key[0] not in self.forgotten}


def _completed(result: Result, found: Mapping[GuestKey, GuestDetails]) -> Result:
    response = with_details(result.response, found)
    return Result(GuestErased() if without_details((response,)) else response, result.replayed)
