import hashlib
import logging
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minikd.data import load_dataset, sources
from minikd.data.downloads import FASHION_MNIST, FILES, KMNIST, REMOTES, Remote, fetch
from minikd.errors import DataError
from tests.data.makers import toy_arrays, write_idx_folder

pooch = pytest.importorskip("pooch", reason="pooch is not installed: pip install minikd")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, counts what is asked, and fails where it is told to."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.failing:
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def serving(folder, failing=False):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.asked, server.failing = [], failing
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _quiet_pooch(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(level)


@pytest.fixture
def origin(tmp_path):
    return write_idx_folder(tmp_path / "origin", toy_arrays(), ".gz")


def remote(origin, *hosts):
    sha256 = {file: hashlib.sha256((origin / file).read_bytes()).hexdigest() for file in FILES}
    return Remote("toy-mnist", hosts, sha256, ("a", "b", "c"))


def test_files_come_down_once_and_then_from_the_cache(origin, tmp_path):
    with serving(origin) as server:
        toy = remote(origin, server.url)
        folder = fetch(toy, tmp_path / "cache")
        assert server.asked == [f"/{file}" for file in FILES]
    for file in FILES:
        assert (folder / file).read_bytes() == (origin / file).read_bytes()
    assert fetch(toy, tmp_path / "cache") == folder  # the server is gone


def test_a_damaged_cached_file_is_fetched_again(origin, tmp_path):
    with serving(origin) as server:
        toy = remote(origin, server.url)
        folder = fetch(toy, tmp_path)
        (folder / FILES[1]).write_bytes(b"damaged")
        fetch(toy, tmp_path)
        assert server.asked[4:] == [f"/{FILES[1]}"]
    assert (folder / FILES[1]).read_bytes() == (origin / FILES[1]).read_bytes()


def test_the_next_host_is_asked_where_one_fails_or_lies(origin, tmp_path):
    lies = write_idx_folder(tmp_path / "lies", toy_arrays(seed=1), ".gz")
    with serving(origin, failing=True) as down, serving(lies) as lying, serving(origin) as good:
        folder = fetch(remote(origin, down.url, lying.url, good.url), tmp_path / "cache")
        assert len(down.asked) == 4
        assert f"/{FILES[0]}" in good.asked
    assert (folder / FILES[0]).read_bytes() == (origin / FILES[0]).read_bytes()


def test_a_wrong_checksum_is_refused_and_leaves_nothing(origin, tmp_path):
    other = write_idx_folder(tmp_path / "other", toy_arrays(seed=1), ".gz")
    with serving(other) as server, pytest.raises(DataError) as caught:
        fetch(remote(origin, server.url), tmp_path / "cache")
    message = str(caught.value)
    assert message.startswith(f"could not download {FILES[0]} of toy-mnist into {tmp_path / 'cache' / 'toy-mnist'}:")
    assert server.url in message
    assert "hash" in message
    assert "give their folder instead of the name" in message
    assert not (tmp_path / "cache" / "toy-mnist" / FILES[0]).exists()


def test_an_error_of_every_host_is_told(origin, tmp_path):
    with serving(origin, failing=True) as server:
        gone = "http://127.0.0.1:9/"  # the discard port, where nobody answers
        with pytest.raises(DataError) as caught:
            fetch(remote(origin, server.url, gone), tmp_path / "cache")
    message = str(caught.value)
    assert f"{server.url}: 503" in message
    assert f"{gone}: " in message
    assert "check the network and try again" in message


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist"])
def test_names_are_loaded_from_the_users_cache(origin, tmp_path, monkeypatch, name):
    cached = write_idx_folder(tmp_path / name, toy_arrays(classes=10, train=40, test=10), ".gz")
    monkeypatch.setattr(sources, "fetch", lambda remote: tmp_path / remote.name)
    dataset = load_dataset(name)
    assert dataset.name == cached.name == name
    assert dataset.class_names == REMOTES[name].class_names
    np.testing.assert_array_equal(dataset.train_images, toy_arrays(classes=10, train=40)["train", "images"][:, None])


@pytest.mark.parametrize("known", [FASHION_MNIST, KMNIST], ids=lambda remote: remote.name)
def test_the_known_sets_are_complete(known):
    assert set(known.sha256) == set(FILES)
    assert all(len(digest) == 64 and int(digest, 16) for digest in known.sha256.values())
    assert len(set(known.sha256.values())) == 4
    assert len(set(known.class_names)) == 10
    assert all(host.startswith("https://") and host.endswith("/") for host in known.hosts)
