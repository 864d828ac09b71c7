"""The ledger driven at random, by one caller and by many, against a model of it."""
