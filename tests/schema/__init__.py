"""The OpenAPI document: checked in as it is served, and true of a running server."""
