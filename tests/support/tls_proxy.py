"""A reverse proxy that terminates TLS, as nginx and Caddy do. It forwards requests in plain HTTP, and sends the
original host and scheme in X-Forwarded-Host and X-Forwarded-Proto."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "x-forwarded-host", "x-forwarded-proto"}


def _certificate(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=secure.test",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def _proxy(server_port: int, context: ssl.SSLContext, started: Future[int], stop: threading.Event) -> None:
    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        forwarded = {"X-Forwarded-Host": request.headers["Host"], "X-Forwarded-Proto": "https"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"http://127.0.0.1:{server_port}{request.raw_path}"
        body = await request.read()
        async with client.request(request.method, url, headers=headers | forwarded, data=body or None) as answer:
            response_headers = {
                name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            }
            response = web.StreamResponse(status=answer.status, headers=response_headers)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async with aiohttp.ClientSession(auto_decompress=False) as client:
        runner = web.ServerRunner(web.Server(forward), shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            started.set_result(runner.addresses[0][1])
            await asyncio.to_thread(stop.wait)
        finally:
            await runner.cleanup()


@contextmanager
def tls_proxy(server_port: int, folder: Path) -> Iterator[int]:
    """A proxy before the server on this port, with a certificate of its own; the port of the proxy."""
    started: Future[int] = Future()
    stop = threading.Event()
    proxy = _proxy(server_port, _certificate(folder), started, stop)
    thread = threading.Thread(target=lambda: asyncio.run(proxy), name="proxy")
    thread.start()
    try:
        yield started.result(30)
    finally:
        stop.set()
        thread.join()
