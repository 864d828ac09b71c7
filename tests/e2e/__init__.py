"""End to end: real clients against the real server, started as a user starts it."""
