"""The adapters to external systems: e-mail, webhooks, brokers, payment providers, the archive. Imports only
protocol."""
