"""A process loads what it runs, and not what others run: most of a start is the loading of modules."""

import subprocess
import sys

from support.paths import ROOT

ONLY_FOR_SOME = {"aiohttp", "prometheus_client", "innkeeper.storage.audit", "innkeeper.http.app"}


def test_the_program_loads_an_http_server_and_auditors_only_where_they_run() -> None:
    code = "import runpy, sys; runpy.run_path('run.py', run_name='run'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert "innkeeper.actors.reservations.hotel" in loaded
    assert not loaded & ONLY_FOR_SOME
