"""E-mail addresses: the short way for plain ones agrees with `email-validator`."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st
from innkeeper.protocol.values.email_address import EmailAddress, InvalidEmail, email_address, sender_address

_PARTS = st.text("ab1A9._+-@", max_size=14)
_DOMAINS = st.lists(st.text("ab1A-", max_size=4), max_size=3).map(".".join)
_ENDS = st.sampled_from(["com", "COM", "Test", "test", "local", "localhost", "arpa", "onion", "invalid", "c1", "pt"])


@settings(max_examples=2_000, deadline=None)
@given(st.builds("{}@{}.{}".format, _PARTS, _DOMAINS, _ENDS) | _PARTS)
@example("a@b.com\n")
@example("a" * 55 + "@b.com")
@example("a@xn--a.com")
def test_an_address_is_what_email_validator_says(text: str) -> None:
    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        with pytest.raises(InvalidEmail):
            email_address(text)
    else:
        assert email_address(text) == EmailAddress(found.local_part, found.ascii_domain)


@pytest.mark.parametrize("text", ["root@localhost", "ann@hotel"])
def test_only_a_sender_may_be_of_a_local_network(text: str) -> None:
    with pytest.raises(InvalidEmail):
        email_address(text)
    assert "@".join(sender_address(text)) == text
