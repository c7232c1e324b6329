"""A reverse proxy that ends TLS before the server, as nginx and Caddy do: it sends the request on in plain HTTP, and
says in X-Forwarded-Host and X-Forwarded-Proto what it was asked for."""

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


async def _proxy(behind: int, context: ssl.SSLContext, begun: Future[int], stop: threading.Event) -> None:
    async def send_on(request: web.BaseRequest) -> web.StreamResponse:
        said = {"X-Forwarded-Host": request.headers["Host"], "X-Forwarded-Proto": "https"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"http://127.0.0.1:{behind}{request.raw_path}"
        body = await request.read()
        async with client.request(request.method, url, headers=headers | said, data=body or None) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async with aiohttp.ClientSession(auto_decompress=False) as client:
        runner = web.ServerRunner(web.Server(send_on), shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            begun.set_result(runner.addresses[0][1])
            await asyncio.to_thread(stop.wait)
        finally:
            await runner.cleanup()


@contextmanager
def tls_proxy(behind: int, folder: Path) -> Iterator[int]:
    """A proxy before the server on this port, with a certificate of its own; its port."""
    begun: Future[int] = Future()
    stop = threading.Event()
    work = _proxy(behind, _certificate(folder), begun, stop)
    thread = threading.Thread(target=lambda: asyncio.run(work), name="proxy")
    thread.start()
    try:
        yield begun.result(30)
    finally:
        stop.set()
        thread.join()
