"""HTTP: the one port, REST resources, problem documents, and the OpenAPI document of them all."""
