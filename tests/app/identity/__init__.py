"""Tests of `app.identity`."""
