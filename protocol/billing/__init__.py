"""The language of billing: its commands, queries, events, replies, terms, and the folio that they speak of."""
