"""Webhooks: signatures, the guard of the local network, the HTTP client, and the endpoints with their deliveries."""
