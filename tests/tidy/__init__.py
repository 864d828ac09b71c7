"""The house's rules, each a function from a file to what breaks it there."""
