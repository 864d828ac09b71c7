"""Tests of `app.telemetry`."""
