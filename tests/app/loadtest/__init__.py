"""Tests of `app.loadtest`."""
