"""Tests of app.transactions."""
