"""What an HTTP client of a test is given in place of certificates: our servers speak plain HTTP."""

import ssl
from typing import Final

import httpcore  # noqa: F401 - else httpx imports it with its first client, in the loop

# A client that is given nothing reads all the machine's certificates, 50 ms of the loop each time.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
