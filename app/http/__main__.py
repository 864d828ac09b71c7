"""`python -m app.http` prints the OpenAPI document, for linters and generators of clients."""

import sys

import msgspec

from app.http.openapi import document
from app.http.table import ROUTES

sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document(ROUTES))) + b"\n")
