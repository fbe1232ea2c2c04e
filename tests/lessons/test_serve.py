"""The site on this machine: files with the types that a browser needs, and a clear word where a port is taken."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from minikd.cli import main
from minikd.errors import ConfigError
from minikd.lessons import publish, serve
from minikd.lessons.serve import HOST, server
from tests.lessons.makers import served, write_lessons

pytestmark = pytest.mark.numpy_only("a server has no device")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.js", "text/javascript"),
        ("pyodide.mjs", "text/javascript"),
        ("pyodide.asm.wasm", "application/wasm"),
        ("settings.json", "application/json"),
        ("index.html", "text/html"),
    ],
)
def test_a_file_has_the_type_that_a_browser_needs(name, kind, tmp_path, capfd):
    (tmp_path / name).write_bytes(b"12")
    with served(tmp_path) as here, urlopen(f"{here}{name}") as answer:
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.read() == b"12"
    assert capfd.readouterr() == ("", "")


def test_this_machine_alone_is_answered_and_no_file_beside_the_site(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "site").mkdir()
    with served(tmp_path / "site") as here:
        assert here.startswith(f"http://{HOST}:")
        assert HOST == "127.0.0.1"
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{here}../secret")


def test_a_reader_who_leaves_while_a_file_is_sent_is_no_error(tmp_path, capfd):
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    with served(tmp_path) as here:
        left = urlopen(f"{here}large")
        left.read(1)
        left.close()
        with urlopen(f"{here}large") as answer:  # the server goes on
            assert len(answer.read()) == 50_000_000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port, tmp_path):
    with pytest.raises(ConfigError, match=rf"port {port} .*--port 0"):
        server(tmp_path, port)


def test_a_port_in_use_is_refused_before_the_site_is_built(tmp_path, monkeypatch, capsys):
    write_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(publish, "write_site", None)  # called, it would raise TypeError
    with server(tmp_path, 0) as taken:
        port = taken.server_address[1]
        assert main(["lessons", "--serve", "--port", str(port)]) == 2
    told = capsys.readouterr()
    assert f"port {port} of this machine cannot be used" in told.err
    assert "--port 0 uses any free port" in told.err


@pytest.mark.parametrize("right", [True, False])
def test_the_address_is_told_and_ctrl_c_ends_it(right, tmp_path, monkeypatch, capsys):
    write_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    asked = []

    def write_site(*given):
        asked.append(given[1:])
        return right

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "require_extra", lambda: None)
    monkeypatch.setattr(publish, "write_site", write_site)
    monkeypatch.setattr(serve.SiteServer, "serve_forever", interrupted)
    assert main(["lessons", "--serve", "--port", "0", "--quick", "--pyodide", "https://a.b/c"]) == (0 if right else 1)
    told = capsys.readouterr().out
    assert "http://127.0.0.1:" in told
    assert "Ctrl-C" in told
    assert ("faults" in told) == (not right)
    ((folder, quick, pyodide),) = asked
    assert (str(folder), quick, pyodide) == ("site", True, "https://a.b/c")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--serve", "--notebooks", "books"), "leave out --notebooks"),
        (("--serve", "--json"), "leave out --json"),
        (("--pyodide", "x"), "--pyodide is for --html and --serve"),
        (("--serve", "--port", "0", "1"), "the whole site is written"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, words, tmp_path, monkeypatch, capsys):
    write_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["lessons", *flags]) == 2
    assert words in capsys.readouterr().err
