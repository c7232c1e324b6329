"""What a part knows of the time beside the instant."""

import msgspec


class ServerTime(msgspec.Struct, frozen=True, gc=False):
    """Why the server's clock is in `doubt`, empty where it is not; and when the server was last down at most: from its
    last event before the start until the start (microseconds since 1970 UTC)."""

    doubt: str = ""
    down_from: int = 0
    down_until: int = 0
