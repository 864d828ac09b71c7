"""Tests of our channels."""
