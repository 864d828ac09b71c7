"""Sales: what is for sale, how much is left, and what watchers are told of it."""
