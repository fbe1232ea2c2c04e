"""Finds out which folders of a data set are its parts and which are its classes."""

from typing import NamedTuple, NoReturn

from minikd.console.notices import notice
from minikd.data.shown import composed, first_names, shown
from minikd.data.split_names import FILLED, Role, parts_among, read_name
from minikd.data.trees import Tree
from minikd.errors import DataError

LAYOUTS_HELP = "ROOT/train/CLASS/*.png with ROOT/test/CLASS/*.png, or ROOT/CLASS/*.png alone"


class Layout(NamedTuple):
    """The folder with the class folders for training, and the folder with those for the test, if there is one."""

    train: Tree
    test: Tree | None


def layout_of(root: Tree) -> Layout:
    """Return the parts of a data set.

    Parts are recognised by their names in upper or lower case, such as train, training_set, Test-Images, val, dev,
    holdout. If there are validation images and no test part, they become the test part. If there is a test part, they
    are left out, because minikd holds out images itself. If pictures are directly in folders with such names, next to
    other folders, the names are classes. If a folder contains only one folder, that folder is entered. A notice says
    what was decided. Raises `DataError` if the layout is ambiguous.
    """
    tree = data_folder(root)
    tell_loose(tree)
    roles = parts_among(list(tree.folders))
    beside = [name for name in tree.filled() if name not in roles]
    if not roles:
        check_siblings(tree)
        return Layout(tree, None)
    flat = {name for name, below in tree.folders.items() if is_flat(below)}
    if flat.issuperset(roles) and flat.intersection(beside):
        notice(
            f"{shown(tree.path)}: {listed(roles)} {'are classes' if len(roles) > 1 else 'is a class'} here, because "
            f"pictures are directly in {'them' if len(roles) > 1 else 'it'}, beside {listed(beside)}"
        )
        return Layout(tree, None)
    return parts_of(tree, roles, beside)


def parts_of(tree: Tree, roles: dict[str, Role], beside: list[str]) -> Layout:
    """Return the parts of a folder in which some folders have names of parts."""
    by_role: dict[Role, list[str]] = {"training": [], "validation": [], "test": []}
    for name, role in roles.items():
        by_role[role].append(name)
    for role, names in by_role.items():
        if len(names) > 1:
            ask(tree, f"{listed(names)} all sound like the {role} part")
    training, validation, test = (names[0] if names else None for names in by_role.values())
    if training is None:
        raise DataError(f"{shown(tree.path)} has a folder {listed(roles)} but no train; the layouts are {LAYOUTS_HELP}")
    if beside:
        raise DataError(
            f"{shown(tree.path)} has {listed(beside)} beside {training}, which would not be read; name the folder "
            "with the test images test, and move the others away"
        )
    tested = test or validation
    layout = Layout(part(tree, training), part(tree, tested) if tested else None)
    tell_parts(tree, training, tested, validation if test else None)
    return layout


def part(tree: Tree, name: str) -> Tree:
    """Return the folder of a part, after checking that it contains class folders."""
    found = tree.folders[name]
    inner = list(found.folders)
    if len(inner) == 1 and not found.pictures and is_part_again(inner[0], name) and found.folders[inner[0]].folders:
        found = found.folders[inner[0]]
        notice(f"{shown(found.path)} is read, because it is the only folder in {shown(name)}")
    if found.filled():
        tell_loose(found)
        return found
    if found.pictures:
        raise DataError(
            f"{shown(found.path)} holds {len(found.pictures):,} pictures directly, so their classes are unknown; put "
            f"them into class folders: the layouts are {LAYOUTS_HELP}. Pictures without labels are for --unlabelled"
        )
    raise DataError(f"no pictures found in {shown(found.path)}; the layouts are {LAYOUTS_HELP}")


def is_part_again(name: str, outer: str) -> bool:
    """Say whether a folder in a part only repeats the part: seg_train/seg_train, train/images."""
    read, above = read_name(name), read_name(outer)
    return name == outer or bool(read and above and read[0] == above[0]) or bool(FILLED.fullmatch(name.lower()))


def data_folder(tree: Tree) -> Tree:
    """Return the folder that holds the data. If a folder holds a single folder with folders, enter that one."""
    inner = tree
    while len(inner.folders) == 1 and not inner.pictures:
        name, below = next(iter(inner.folders.items()))
        is_part = read_name(name) and "training" not in parts_among(list(below.folders)).values()
        if is_part or below.pictures or not below.filled():
            break
        inner = below
    if inner is not tree:
        notice(f"{shown(inner.path)} is read, because it is the only folder in {shown(tree.path)}")
    return inner


def is_flat(tree: Tree) -> bool:
    """Say whether all pictures are directly in a folder, and none in folders below it."""
    return bool(tree.pictures) and not tree.filled()


def check_siblings(tree: Tree) -> None:
    """Refuse folders that may be parts of the data, and folders that contain parts.

    Folders may be parts if they contain pictures in folders with the same names: at least two, or the only one. Folders
    called images, photos, ... are not classes.
    """
    seen: dict[str, set[str]] = {}
    for name, below in tree.folders.items():
        check_without_parts(below)
        inner = {folded(one) for one in below.walk() if one is not below and one.pictures}
        inner = {one for one in inner if not FILLED.fullmatch(one)}
        if not inner:
            continue
        for other, its in seen.items():
            shared = sorted(inner & its)
            if len(shared) > 1 or (shared and len(inner) != len(its) and 1 in (len(inner), len(its))):
                ask(tree, f"{listed([other, name])} hold folders of the same names ({listed(shared)})")
        seen[name] = inner


def check_without_parts(folder: Tree) -> None:
    """Refuse a class folder that is already split into parts."""
    parts = parts_among(list(folder.filled()))
    if "training" in parts.values() and len(set(parts.values())) > 1:
        raise DataError(
            f"{shown(folder.path)} holds {listed(parts)}, which would be mixed; if that folder is the data set, give "
            f"it, or else put the parts above the classes: the layouts are {LAYOUTS_HELP}"
        )


def folded(tree: Tree) -> str:
    """Return the name of a folder in a form for comparison, without accents and case."""
    return composed(tree.path.name).casefold()


def ask(tree: Tree, why: str) -> NoReturn:
    """Refuse folders whose meaning is unclear, and ask what they are."""
    raise DataError(
        f"{shown(tree.path)}: {why}: it is not clear whether these are parts of the data or classes. If they are "
        "parts, name one train and one test, and move the others away. If they are classes, put their pictures "
        "directly into them"
    )


def tell_parts(tree: Tree, training: str, tested: str | None, left_out: str | None) -> None:
    """Print which folders are used as which parts, unless they are just train and test."""
    said = []
    if training != "train" or tested not in (None, "test"):
        said.append(f"{shown(training)} is used as the training part")
        said += [f"{shown(tested)} as the test part"] if tested else []
    if left_out:
        count = len(tree.folders[left_out].all_pictures())
        said.append(
            f"{shown(left_out)} is left out ({count:,} pictures), because minikd takes validation images from the "
            "training part; put them there to learn from them too"
        )
    if said:
        notice(f"{shown(tree.path)}: {', '.join(said)}")


def tell_loose(tree: Tree) -> None:
    """Print that pictures next to class folders are left out."""
    if tree.pictures and tree.filled():
        count = len(tree.pictures)
        notice(
            f"{shown(tree.path)}: left out {count:,} {'pictures' if count > 1 else 'picture'} outside class folders, "
            f"such as {shown(tree.pictures[0].name)}"
        )


def listed(names: "list[str] | dict[str, Role]") -> str:
    """Return names as text for a message."""
    first = [shown(name) for name in names]
    return " and ".join(first) if len(first) == 2 else first_names(first, 5)
