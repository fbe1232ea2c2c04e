"""Data sets that are downloaded by name: their files, hosts and hashes."""

from dataclasses import dataclass
from pathlib import Path

from minikd.errors import DataError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SECONDS = 30  # seconds to wait for an answer before the next host is tried


@dataclass(frozen=True)
class Remote:
    """A data set on the internet: the hosts that have its four IDX files, in order, and the SHA-256 of each file."""

    name: str
    hosts: tuple[str, ...]
    sha256: dict[str, str]
    class_names: tuple[str, ...]


FASHION_MNIST = Remote(  # Xiao, Rasul, Vollgraf, 2017; MIT licence
    name="fashion-mnist",
    hosts=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    ),
    sha256={
        FILES[0]: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        FILES[1]: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        FILES[2]: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        FILES[3]: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

KMNIST = Remote(  # Clanuwat et al., "Deep learning for classical Japanese literature", 2018; CC BY-SA 4.0
    name="kmnist",
    hosts=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    sha256={
        FILES[0]: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        FILES[1]: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        FILES[2]: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        FILES[3]: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    },
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
)

REMOTES = {remote.name: remote for remote in (FASHION_MNIST, KMNIST)}


def fetch(remote: Remote, cache: Path | None = None) -> Path:
    """Return the folder with the data set's files. Downloads files that are missing or have a wrong hash.

    The folder is `cache`/name; `cache` is by default the user's cache folder. Hosts are tried in order. If none gives
    the right bytes, `DataError` says what each host answered.
    """
    import pooch

    folder = (Path(pooch.os_cache("minikd")) if cache is None else cache) / remote.name
    for file, digest in remote.sha256.items():
        failures = []
        for host in remote.hosts:
            try:
                pooch.retrieve(
                    host + file,
                    f"sha256:{digest}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=SECONDS),
                )
                break
            except (OSError, ValueError) as error:  # no network, no such host, no such file, or a wrong hash
                failures.append(f"{host}: {error}")
        else:
            raise DataError(
                f"could not download {file} of {remote.name} into {folder}:\n  " + "\n  ".join(failures) + "\n"
                "check the network and try again, or download the four files in another way "
                f"({', '.join(remote.sha256)}) and give their folder instead of the name"
            )
    return folder
