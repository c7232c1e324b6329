"""Letters as e-mail: their wording and layout, and the transports to a mail server or a folder."""
