"""Tests of `app.inspect`."""
