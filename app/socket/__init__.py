"""Our channels: who may connect, what a sale's members get and may do, rooms for load tests."""
