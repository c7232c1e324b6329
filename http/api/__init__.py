"""The HTTP API: routes, resources and handlers, a file for each context, and the OpenAPI and AsyncAPI documents."""
