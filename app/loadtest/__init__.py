"""A load tester for servers that speak Phoenix's protocol: `agio loadtest`."""
