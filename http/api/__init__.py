"""The HTTP API, a file for each context: routes, resources, handlers, and the documents that describe them."""
