"""HTTP: decoding, problems, the router, the one port, the OpenAPI document."""
