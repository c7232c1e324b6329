"""What leaves the building: e-mail, webhooks, the archive, brokers."""
