"""The load of random arrivals: a mail server that takes letters, and what becomes of a rate that is held."""

import re
import smtplib
import subprocess
import sys

import pytest
from support.paths import ROOT

FOLDER = ROOT / "tests/benchmarks"


def test_the_mail_server_of_the_load_takes_letters() -> None:
    command = [sys.executable, str(FOLDER / "arrivals.py"), "mail"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with smtplib.SMTP("127.0.0.1", int(process.stdout.readline()), timeout=30) as client:
            for number in range(3):
                letter = f"Subject: {number}\r\n\r\n.a line with a dot\r\n"
                assert client.sendmail("desk@example.com", ["ann@example.com"], letter) == {}
            assert client.has_extn("pipelining")
        process.terminate()


@pytest.mark.slow
def test_the_lag_of_everybody_is_measured_at_a_rate() -> None:
    command = [sys.executable, str(FOLDER / "sustained.py"), "10", "3"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    subscribers = ["archive", "billing", "hold-payments", "mail", "notifications", "payments", "providers"]
    assert sorted(re.findall(r"'([\w-]+)': \d", printed)) == subscribers
