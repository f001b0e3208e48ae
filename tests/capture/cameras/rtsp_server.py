"""A camera that speaks RTSP (RFC 2326): H.264 in RTP (RFC 6184) within the same TCP connection, for one viewer after the other."""

import base64
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Self

START = b"\0\0\0\1"
LARGEST = 1400


def units(packet: bytes) -> list[bytes]:
    """The units of a byte stream."""
    return [unit.rstrip(b"\0") for unit in packet.replace(START, b"\0\0\1").split(b"\0\0\1") if unit]


class RtspServer:
    """Serves `packets` (Annex B) at `fps`, again and again. Parameter sets are told in the description, and left out of the stream."""

    def __init__(self, packets: Sequence[bytes], fps: float = 30) -> None:
        self._pictures = [[u for u in units(p) if u[0] & 31 not in (7, 8)] for p in packets]
        sets = [base64.b64encode(u).decode() for u in units(packets[0]) if u[0] & 31 in (7, 8)]
        self._sdp = ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                     f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;"
                     f"sprop-parameter-sets={','.join(sets)}\r\na=control:track0\r\n")
        self._fps, self._over = fps, threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        self._server.settimeout(0.1)
        while not self._over.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            with client:
                try:
                    self._talk(client)
                except (OSError, ConnectionError):
                    continue

    def _talk(self, client: socket.socket) -> None:
        request = b""
        while not self._over.is_set():
            said = client.recv(4096)
            if not said:
                return
            request += said
            while b"\r\n\r\n" in request:
                one, _, request = request.partition(b"\r\n\r\n")
                lines = one.decode().split("\r\n")
                method, headers = lines[0].split()[0], dict(line.split(": ", 1) for line in lines[1:])
                answer = [f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}"]
                body = ""
                if method == "OPTIONS":
                    answer.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
                elif method == "DESCRIBE":
                    body = self._sdp
                    answer.append(f"Content-Type: application/sdp\r\nContent-Length: {len(body)}")
                elif method == "SETUP":
                    answer.append("Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1")
                else:
                    answer.append("Session: 1")
                client.sendall(("\r\n".join(answer) + "\r\n\r\n" + body).encode())
                if method == "PLAY":
                    self._play(client)
                    return

    def _play(self, client: socket.socket) -> None:
        began, sequence = time.monotonic(), 0
        for n in range(10**6):
            if self._over.wait(max(began + n / self._fps - time.monotonic(), 0)):
                return
            packets = [part for unit in self._pictures[n % len(self._pictures)] for part in self._parts(unit)]
            for i, part in enumerate(packets):
                last = 0x80 * (i == len(packets) - 1)
                ticks = 0xFFFF0000 + round(n * 90000 / self._fps) & 0xFFFFFFFF  # wraps soon
                packet = struct.pack(">BBHII", 0x80, 96 | last, sequence & 0xFFFF, ticks, 7) + part
                client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1

    @staticmethod
    def _parts(unit: bytes) -> list[bytes]:
        if len(unit) <= LARGEST:
            return [unit]
        pieces = [unit[at : at + LARGEST] for at in range(1, len(unit), LARGEST)]
        return [bytes([unit[0] & 0x60 | 28, unit[0] & 31 | 0x80 * (i == 0) | 0x40 * (i == len(pieces) - 1)]) + piece
                for i, piece in enumerate(pieces)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._server.close()
