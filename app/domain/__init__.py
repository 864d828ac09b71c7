"""Pure words that every part of the product shares: money, ids, cursors, refusals. No IO."""
