"""Auditors, which check the promises from the events alone, with none of the code that keeps them."""
