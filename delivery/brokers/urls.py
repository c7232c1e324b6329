"""The URLs of brokers. An error never contains a part of the URL, because any part of a mistyped one may be the
password."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

FORMS = (
    "a broker's URL is amqp://user:password@host:port/vhost, amqps:// for TLS, or kafka://user:password@host:port,"
    "host:port, kafkas:// for TLS; other characters than letters, digits and -._~ in user, password and vhost are to"
    " be percent-encoded"
)

_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def split_url(url: str) -> SplitResult:
    """Returns the parts of a URL. Raises ValueError, also where a character that is not percent-encoded would end the
    password early."""
    try:
        parts = urlsplit(url)
        rest = parts.path + parts.query + parts.fragment
    except ValueError:
        raise ValueError(FORMS) from None
    if not parts.scheme or not parts.hostname or parts.fragment or "@" in rest:
        raise ValueError(FORMS)
    return parts


def check_amqp_url(url: str) -> None:
    """Raises ValueError where this is no URL of a RabbitMQ."""
    parts = split_url(url)
    try:
        parts.port  # noqa: B018 (it is a number, or raises)
    except ValueError:
        raise ValueError(FORMS) from None


@dataclass(frozen=True)
class KafkaAddress:
    """The parts of `kafka://user:password@host:port,host:port`, or `kafkas://` for TLS. `?mechanism=` is that of SASL,
    PLAIN by default; `?cafile=` the file with the certificates of the authorities that are trusted."""

    servers: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    mechanism: str
    is_encrypted: bool
    cafile: str | None

    @classmethod
    def of(cls, url: str) -> "KafkaAddress":
        """Returns the address in a URL. Raises ValueError, without a part of the URL."""
        parts = split_url(url)
        login, _, servers = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        mechanism = options.pop("mechanism", _MECHANISMS[0])
        cafile = options.pop("cafile", None)
        names = tuple(servers.split(","))
        if "@" in login or parts.path not in ("", "/") or not all(map(_SERVER.fullmatch, names)):
            raise ValueError(FORMS)
        if options or mechanism not in _MECHANISMS:
            raise ValueError(f"a Kafka's URL has the options cafile and mechanism, which is one of {_MECHANISMS}")
        return cls(names, unquote(user), unquote(password), mechanism, parts.scheme == "kafkas", cafile)
