"""What the ledger does a second, and how long it takes, beside what PostgreSQL does by itself."""
