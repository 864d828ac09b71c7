"""Tests of the channels layer."""
