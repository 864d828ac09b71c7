"""Purchases: each is one business transaction, run by one actor, that ends exactly once."""
