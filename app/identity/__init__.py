"""Who is asking: identities, and the tokens that prove them."""
