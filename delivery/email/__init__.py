"""Letters as e-mail: their words, their form, and the ways to a mail server or a folder."""
