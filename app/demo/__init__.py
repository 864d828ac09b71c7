"""The demo: one business line with one sale in it, loaded once."""
