"""Webhooks: signing, the guard against one's own network, the client, and the deliveries."""
