"""How fast the full server delivers, beside a bound written in C: `make bench-fanout`."""
