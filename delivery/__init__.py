"""Adapters to the outside and nothing else: e-mail, webhooks, brokers, payment providers, the archive. Imports
protocol."""
