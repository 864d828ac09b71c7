"""Tests of the benches: of what they reckon with, never of how fast anything is."""
