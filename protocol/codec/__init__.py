"""How messages become bytes: the msgpack wire table, frames between processes, CloudEvents for the outside."""
