"""The double-entry ledger: what is owed to whom, entry by entry, in one book a business line."""
