"""One connection's socket, which never blocks, with TLS or without."""

import errno
import os
import selectors
import socket
import ssl
import sys
from typing import Final

from app.loadtest.errors import LoadTestError
from app.loadtest.limits import RECEIVE_BYTES, UNSENT_BYTES_MAX
from app.loadtest.model import Target

# From the kernel's own headers: take a port at the connect, when it is known what else is used.
_BIND_ADDRESS_NO_PORT: Final = 24

_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_ADVICE: Final = {
    errno.EADDRNOTAVAIL: "; one address has some 28,000 ports: connect from more, with --source",
    errno.EMFILE: "; see `ulimit -n`, or use more --processes",
}


class Link:
    """A connection on its way, or there.

    Args:
        target: where to.
        source: the address to connect from; None: the usual one.
        secure: what TLS is spoken with; None: without.

    Raises:
        LoadTestError: there is no way there.
    """

    __slots__ = ("_out", "_secure", "_socket", "_tls", "_url")

    def __init__(self, target: Target, source: str | None, secure: ssl.SSLContext | None) -> None:
        self._url = target.url
        self._out = bytearray()
        self._secure = secure
        self._tls: ssl.SSLSocket | None = None
        family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise self._unreachable(error.errno or 0) from None
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if source is not None:
                if sys.platform == "linux":
                    self._socket.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
                self._socket.bind((source, 0))
            self._socket.connect((target.address, target.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self._socket.close()
            raise self._unreachable(error.errno or 0) from None
        if secure is not None:
            self._tls = secure.wrap_socket(
                self._socket, server_hostname=target.host, do_handshake_on_connect=False
            )
            self._socket = self._tls

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the server to read."""
        return bool(self._out)

    def check_connected(self) -> None:
        """See how the connect went, when the socket is writable.

        Raises:
            LoadTestError: it failed.
        """
        failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise self._unreachable(failed)

    def secure(self) -> int:
        """Go on with the TLS handshake; without TLS there is none.

        Returns:
            The selector's event to wait for, or 0 when it is done.

        Raises:
            LoadTestError: it failed.
        """
        if self._tls is None:
            return 0
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        except ssl.SSLCertVerificationError as error:
            raise LoadTestError(f"{self._url}: {error.verify_message}") from None
        except OSError as error:
            reason = error.strerror or "it ended the handshake"
            raise LoadTestError(f"no TLS with {self._url}: {reason}") from None
        return 0

    def receive(self) -> bytes | None:
        """What came; None where nothing did, b"" at the end."""
        try:
            data = self._socket.recv(RECEIVE_BYTES)
            if self._tls is not None:
                # What TLS has decrypted already makes no socket readable.
                while more := self._tls.pending():
                    data += self._tls.recv(more)
        except _NOT_YET:
            return None
        except OSError:
            return b""
        return data

    def send(self, data: bytes) -> bool:
        """Send, or keep for when there is room; False where there is too much of that already."""
        if self._out:
            if len(self._out) + len(data) > UNSENT_BYTES_MAX:
                return False
            self._out += data
            return True
        try:
            sent = self._socket.send(data)
        except _NOT_YET:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            self._out += data[sent:]
        return True

    def flush(self) -> None:
        """Send what was kept, as far as there is room."""
        try:
            sent = self._socket.send(self._out)
        except OSError:
            return  # no room yet; or the end, which is what the next read says
        del self._out[:sent]

    def close(self) -> None:
        """Be gone."""
        self._socket.close()

    def _unreachable(self, number: int) -> LoadTestError:
        reason = os.strerror(number) + _ADVICE.get(number, "")
        return LoadTestError(f"cannot reach {self._url}: {reason}")
