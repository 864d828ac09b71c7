"""A small OTP for trio: supervised actors with bounded mailboxes. Knows neither sockets nor money."""
