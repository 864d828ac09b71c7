"""Tests of `app.workers`."""
