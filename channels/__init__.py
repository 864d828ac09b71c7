"""Phoenix Channels for trio. Knows actors, not money."""
