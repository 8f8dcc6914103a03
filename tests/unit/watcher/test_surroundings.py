# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Configuration, log lines, figures, status pages, systemd."""

from __future__ import annotations

import logging
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ovn_k8s.daemon import log
from ovn_k8s.daemon.http import StatusServer
from ovn_k8s.daemon.metrics import Counter, Gauge, Histogram, exposition
from ovn_k8s.daemon.notify import notify, watchdog_interval
from ovn_k8s.watcher import config

TOML = """
cluster_cidr = "10.244.0.0/16"
service_cidr = "10.96.0.0/16"
mtu = 1400
[northbound]
remote = "ssl:127.0.0.1:6641"
private_key = "/etc/ovn-k8s/pki/watcher.key"
certificate = "/etc/ovn-k8s/pki/watcher.crt"
ca_certificate = "/etc/ovn-k8s/pki/ca.crt"
[kubernetes]
kubeconfig = "/etc/ovn-k8s/watcher.kubeconfig"
"""


def test_configuration(tmp_path: Path) -> None:
    path = tmp_path / "watcher.toml"
    path.write_text(TOML)
    settings = config.load(str(path))
    assert str(settings.cluster_cidr) == "10.244.0.0/16"
    assert [str(remote) for remote in settings.northbound] == ["ssl:127.0.0.1:6641"]
    assert settings.tls is not None
    assert settings.tls.private_key == "/etc/ovn-k8s/pki/watcher.key"
    assert (settings.http_address, settings.http_port) == ("127.0.0.1", 9409)


def test_credentials_of_systemd_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "watcher.toml"
    path.write_text(TOML)
    for name in ("watcher.kubeconfig", "watcher.key"):
        (tmp_path / name).touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = config.load(str(path))
    assert settings.kubeconfig == str(tmp_path / "watcher.kubeconfig")
    assert settings.tls is not None
    assert settings.tls.private_key == str(tmp_path / "watcher.key")
    assert settings.tls.certificate == "/etc/ovn-k8s/pki/watcher.crt"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.244.0.0/16", "10.244.0.0", "cluster_cidr: '10.244.0.0' has no prefix length"),
        ("cluster_cidr", "other", "cluster_cidr: None is not a network"),
        ("10.244.0.0/16", "10.244.0.0/16,fd00::/56", "dual-stack clusters are not supported"),
        ("10.96.0.0/16", "fd00::/112", "IPv6-only and dual-stack clusters are not supported"),
        ("mtu = 1400", "node_prefix = 12", "node_prefix is 12 and has to be 16 (that of cluster_cidr) to 29"),
        ("mtu = 1400", 'gateways = "gw"', "gateways is 'gw' and has to be a list of names"),
        ("ssl:127.0.0.1:6641", "127.0.0.1", "northbound.remote: '127.0.0.1' is no database remote"),
        ("certificate =", "x =", "northbound.certificate is None"),
        ("kubeconfig =", "x =", "kubernetes.kubeconfig is None"),
        ("[kubernetes]", "[http]\nport = 70000\n[kubernetes]", "http.port is 70000"),
        ("[kubernetes]", "[kubernetes", "watcher.toml: "),
    ],
)
def test_bad_configuration(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "watcher.toml"
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(config.ConfigError) as caught:
        config.load(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_configuration() -> None:
    with pytest.raises(config.ConfigError, match="/nowhere: No such file"):
        config.load("/nowhere")


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        log.set_up()
        logger = logging.getLogger("ovn_k8s.watcher.writer")
        logger.info("port\nadded", extra=log.fields(object="pod/d/a", note="two words"))
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
    finally:
        logging.getLogger().handlers[:] = before
    out, err = capsys.readouterr()
    assert out == err
    first, second = err.splitlines()
    assert first.endswith('Z INFO writer: port | added object=pod/d/a note="two words"')
    assert "ERROR writer: failed: Traceback" in second


def test_figures() -> None:
    counter = Counter("c_total", "Counts.", "result")
    counter.add(value="ok")
    counter.add(2, value='a"b')
    histogram = Histogram("h_seconds", "Times.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    gauge = Gauge("g", "Now.", lambda: [({"node": "n"}, 1.5)])
    plain = Gauge("p", "Plain.", lambda: 3)
    assert exposition([counter, histogram, gauge, plain]).splitlines() == [
        "# HELP c_total Counts.",
        "# TYPE c_total counter",
        'c_total{result="a\\"b"} 2',
        'c_total{result="ok"} 1',
        "# HELP h_seconds Times.",
        "# TYPE h_seconds histogram",
        'h_seconds_bucket{le="0.1"} 2',
        'h_seconds_bucket{le="1"} 3',
        'h_seconds_bucket{le="+Inf"} 4',
        "h_seconds_sum 7.650000",
        "h_seconds_count 4",
        "# HELP g Now.",
        "# TYPE g gauge",
        'g{node="n"} 1.5',
        "# HELP p Plain.",
        "# TYPE p gauge",
        "p 3",
    ]


def test_status_pages() -> None:
    wrong: list[str] = ["pods are not listed yet"]
    server = StatusServer("127.0.0.1", 0, health=lambda: [], ready=lambda: wrong, metrics=lambda: "m 1\n")
    server.start()
    try:
        base = f"http://127.0.0.1:{server.port}"
        assert urllib.request.urlopen(f"{base}/healthz").read() == b"ok\n"
        assert urllib.request.urlopen(f"{base}/metrics").read() == b"m 1\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/readyz")
        assert caught.value.code == 503
        assert caught.value.read() == b"pods are not listed yet\n"
        wrong.clear()
        assert urllib.request.urlopen(f"{base}/readyz").status == 200
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{base}/etc/passwd")
    finally:
        server.stop()


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize(("usec", "pid", "seconds"), [("", "", None), ("30000000", "", 15.0), ("30000000", "1", None)])
def test_watchdog(monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, seconds: float | None) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    else:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_interval() == seconds
