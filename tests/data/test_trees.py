import os

import pytest

from minikd.data import load_dataset, load_images
from minikd.data.trees import read_tree
from minikd.errors import DataError
from tests.data.makers import fill, load_and_split, plant, quietly

HIDDEN = (
    ".ipynb_checkpoints,.thumbnails,@eaDir,__MACOSX,__pycache__,.AppleDouble,$RECYCLE.BIN,System Volume Information,"
    "lost+found,#recycle,.Trash-1000,.git,@Recycle,#snapshot,.dropbox.cache,.@__thumb,_vti_cnf,Network Trash Folder,"
    "@__thumb,_vti_script,Recycled,FOUND.001,LOST.DIR,$Extend,MSOCache,WPSystem,CVS,:2eDS_Store"
)


@pytest.mark.parametrize("hidden", HIDDEN.split(","))
@pytest.mark.parametrize("where", ["", "cat", "cat/young"])
def test_no_part_of_a_path_may_be_hidden_or_a_systems_own(tmp_path, hidden, where):
    plant(tmp_path, "cat cat/young dog")
    fill(tmp_path / where / hidden, 4)
    fill(tmp_path / where / hidden / "below", 4)
    dataset, said = quietly(load_dataset, tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.train_labels) + len(dataset.test_labels) == 12
    assert said[0] == f"{tmp_path}: left out the pictures in {hidden}, which are hidden or system folders"
    assert len(quietly(load_images, tmp_path)[0]) == 12


def test_pictures_anywhere_below_a_hidden_folder_are_told(tmp_path):
    plant(tmp_path, "train/cat train/dog .test/cat/young .test/dog")
    fill(tmp_path / "__MACOSX" / "cat", 0)
    (tmp_path / "__MACOSX" / "cat" / "._0.png").write_bytes(b"no picture")
    told = quietly(load_dataset, tmp_path)[1]
    assert f"{tmp_path}: left out the pictures in .test, which are hidden or system folders" in told


def test_hidden_files_are_left_out(tmp_path):
    plant(tmp_path, "cat dog")
    for name in ("._0.png", ".hidden.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / "cat" / name).write_bytes(b"no picture")
    dataset = load_and_split(tmp_path)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 8


def test_the_data_folder_itself_may_be_hidden(tmp_path):
    dataset = load_and_split(plant(tmp_path / ".cache" / "@eaDir", "cat dog"))
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize("sign", ["@", "#", "$", "~", "@1", "$1", "_", "found", "cv"])
def test_a_sign_alone_is_a_class(tmp_path, sign):
    assert sign in load_and_split(plant(tmp_path, f"a {sign}")).class_names


@pytest.mark.parametrize("link", ["bird", "cat/young", "cat/9.png", "test"])
@pytest.mark.parametrize("load", [load_dataset, load_images])
def test_a_link_out_of_the_data_is_refused(tmp_path, link, load):
    plant(tmp_path / "pets", "cat dog")
    fill(tmp_path / "else", 3)
    (tmp_path / "pets" / link).symlink_to(tmp_path / "else" / ("0.png" if link.endswith("png") else ""))
    with pytest.raises(DataError, match=rf"{link} is a link to .*else.*, which lies outside of .*pets.*cp -rL"):
        load(tmp_path / "pets")


def test_links_within_the_data_are_followed_and_so_is_one_to_them(tmp_path):
    plant(tmp_path / "pets", "cat dog")
    (tmp_path / "pets" / "bird").symlink_to("dog")
    (tmp_path / "pets" / "cat" / "9.png").symlink_to("0.png")
    (tmp_path / "link").symlink_to("pets")
    dataset = load_and_split(tmp_path / "link")
    assert dataset.class_names == ("bird", "cat", "dog")
    assert len(dataset.train_labels) + len(dataset.test_labels) == 13


@pytest.mark.parametrize("target", [".", "..", "../..", "../dog/back"])
def test_links_in_a_circle_are_left_out_and_it_is_said(tmp_path, target):
    plant(tmp_path, "pets/cat pets/dog")
    (tmp_path / "pets" / "dog" / "back").symlink_to("../cat")
    (tmp_path / "pets" / "cat" / "on").symlink_to(target)
    if target == "../..":
        with pytest.raises(DataError, match="lies outside"):
            load_dataset(tmp_path / "pets")
        return
    dataset, said = quietly(load_dataset, tmp_path / "pets")
    assert dataset.class_names == ("cat", "dog")
    assert "left out links to folders that form a circle, or are behind other links: cat/on" in said[0]


def test_many_folders_that_link_to_each_other_end(tmp_path):
    names = [f"c{number}" for number in range(12)]
    plant(tmp_path, " ".join(names), count=1)
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(f"../{other}")
    assert len(quietly(read_tree, tmp_path)[0].all_pictures()) == 12 * 12


@pytest.mark.parametrize("target", ["gone.png", "8.png"])
def test_a_link_to_nothing_is_told(tmp_path, target):
    plant(tmp_path, "cat dog")
    (tmp_path / "cat" / "8.png").symlink_to(target)
    with pytest.raises(DataError, match=r"8\.png cannot be read as a picture"):
        load_dataset(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_told_and_does_not_hang(tmp_path):
    plant(tmp_path, "cat dog")
    os.mkfifo(tmp_path / "cat" / "8.png")
    with pytest.raises(DataError, match=r"8\.png cannot be read as a picture: it is a folder, a pipe or a device"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match=r"8\.png is a pipe, a socket or a device; give a file or a folder"):
        load_dataset(tmp_path / "cat" / "8.png")


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    plant(tmp_path, "cat dog")
    listed = os.scandir

    def scandir(folder):
        if str(folder).endswith("cat"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="cat cannot be read: Permission denied; check the path and its permissions"):
        load_dataset(tmp_path)


def test_folders_without_end_are_refused(tmp_path):
    plant(tmp_path, "cat dog dog/" + "/".join("d" * 60))
    with pytest.raises(DataError, match="lies 33 folders deep"):
        load_dataset(tmp_path)
