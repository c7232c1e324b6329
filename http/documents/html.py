"""Documents as self-contained HTML pages."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from innkeeper.http.documents.content import content_of
from innkeeper.protocol.billing.folio import Invoice

_PAPERS = Path(__file__).parent / "papers"
_STYLE = (_PAPERS / "paper.css").read_text()
HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The headers of the HTML: it may load nothing but its own style."""


def html_document(invoice: Invoice) -> str:
    """The document as a self-contained HTML page; to be served with `HTML_HEADERS`."""
    return _template().render(paper=content_of(invoice), style=_STYLE)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAPERS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("invoice.html")
