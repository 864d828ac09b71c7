"""What an HTTP client of a test is given in place of certificates: our servers speak plain HTTP."""

import ssl
from typing import Final

# A client that is given nothing reads all the machine's certificates, 50 ms of the loop each time.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
