"""Seeing the supervision tree: `agio inspect`, and what its HTTP side shares with it."""
