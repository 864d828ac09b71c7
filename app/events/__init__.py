"""Events: the log of facts, the relay that publishes it, the feed that brings it to subscribers."""
