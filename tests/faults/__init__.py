"""Faults: processes killed, answers lost, servers restarted; money must not notice."""
