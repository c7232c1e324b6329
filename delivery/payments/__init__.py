"""The adapters to payment providers."""
