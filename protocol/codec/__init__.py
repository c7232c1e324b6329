"""How messages are encoded: the msgpack wire table, frames between processes, CloudEvents for other systems."""
