"""Tests of app.ledger."""
