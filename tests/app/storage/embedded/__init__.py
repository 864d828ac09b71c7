"""Tests of `app.storage.embedded`."""
