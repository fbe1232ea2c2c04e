"""The page answers as Python does, draws, opens without a network, and keeps what it is given from breaking out."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import minikd
from minikd import losses, models
from minikd.console import units
from minikd.data import Views, load_image
from minikd.data.ink import centred, ink_of
from minikd.errors import CheckpointError, ConfigError, Diverged, DtypeError, ShapeError
from minikd.exports.integer import LEVELS, integer_logits
from minikd.exports.layers import described
from minikd.exports.page import MOST_IMAGES, images_shown, write_page
from minikd.exports.quantize import quantize
from minikd.nn import BatchNorm1d, BatchNorm2d, Flatten, LayerNorm, Linear, ReLU, Sequential
from minikd.nn.layer import Layer
from tests.exports.chromium import dom, evaluate, needs_chromium, selftest, text_of
from tests.exports.networks import at_random, card_of, in_whole_numbers, of_every_layer, pictures, shaken
from tests.markup import page_at

FROM_DISK = """((p, size) => {
    const canvas = element("canvas", { width: size, height: size }), context = canvas.getContext("2d");
    const image = context.createImageData(28, 28), small = element("canvas", { width: 28, height: 28 });
    p.forEach((v, i) => image.data.set([v, v, v, 255], 4 * i));
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, size, size);
    seePicture(canvas, "it.png");
    return [[...shown.pixels], byId("seen").textContent];
})"""
"""Shows the page a picture of 28 x 28 greys, `size` dots wide; returns what the networks see, and the words to it."""

pytestmark = pytest.mark.numpy_only("exports work on the host")

EVIL = ("</script><script>evil()</script>", "<!--", "<b>&amp;'\"", "\\u003c", "four", "$1")


@pytest.fixture(scope="module")
def digits():
    """MNIST, a part of it: enough images to calibrate on and to compare."""
    data = minikd.load_dataset("mnist")
    few = {
        f"{part}_{kind}": getattr(data, f"{part}_{kind}")[:400]
        for part in ("train", "test")
        for kind in ("images", "labels")
    }
    return replace(data, **few)


@pytest.fixture(scope="module")
def trio(digits):
    """A run's three networks, with random weights."""
    rng = np.random.default_rng(0)
    made = {
        "teacher": models.cnn((1, 28, 28), 10, rng, dropout=0.5),
        "student_baseline": models.mlp((1, 28, 28), (32,), 10, rng, batch_norm=True),
        "student_distilled": models.mlp((1, 28, 28), (32,), 10, rng),
    }
    return {key: (shaken(model, 1), card_of(digits, key)) for key, model in made.items()}


@pytest.fixture(scope="module")
def written(trio, digits, tmp_path_factory):
    return write_page(trio, digits, tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A page of colour images of 5 kinds, whose class names are attacks."""
    rng, data = np.random.default_rng(0), pictures((3, 9, 8), 5, names=EVIL[:5])
    pair = {"teacher": of_every_layer(rng)["plain"], "my <student>": of_every_layer(rng)["dense"]}
    path = tmp_path_factory.mktemp("odd") / "page.html"
    write_page({key: (model, card_of(data)) for key, model in pair.items()}, data, path)
    return path


# ---- the page beside Python


@needs_chromium
def test_the_page_answers_200_test_images_as_python_does_and_draws(written):
    found = selftest(written.path)
    assert found["passed"]
    assert found["images"] == 200
    assert [one["classes"] for one in found["models"].values()] == [200] * 3
    assert 0 < max(one["difference"] for one in found["models"].values()) < 1e-4
    assert all(found["drawing"].values())
    assert len(found["drawing"]) == 5


@needs_chromium
@pytest.mark.parametrize("kind", sorted(LEVELS))
def test_in_whole_numbers_the_page_gives_the_same_integers(trio, digits, tmp_path, kind):
    page = write_page(trio, digits, tmp_path / "page.html", kind=kind)
    found = selftest(page.path)
    assert found["passed"]
    assert [one["difference"] for one in found["models"].values()] == [0] * 3


@needs_chromium
@pytest.mark.parametrize("int8", [False, True])
def test_the_self_test_finds_one_wrong_weight(trio, digits, tmp_path, int8):
    model, card = trio["student_distilled"]
    page = write_page({"student_distilled": (model, card)}, digits, tmp_path / "page.html", "int8" if int8 else "")
    (text,) = re.findall('"weight":{"type":"[a-z0-9]+","data":"([^"]{300,})"', page.path.read_text())[-1:]
    wrong = f"{text[:100]}{'AAAA' if text[100:104] != 'AAAA' else 'Pz8/'}{text[104:]}"
    page.path.write_text(page.path.read_text().replace(text, wrong))
    assert not selftest(page.path)["passed"]


@needs_chromium
def test_every_layer_and_random_networks_give_the_packages_numbers(odd):
    images, rng = pictures((3, 9, 8), 5, 5, seed=3).test_images, np.random.default_rng(5)
    card = card_of(pictures((3, 9, 8), 5))
    x = Views(images, np.zeros(5, np.int64), card.mean, card.std).clean()
    made = of_every_layer(rng) | {f"random {i}": at_random(rng, whole=False) for i in range(60)}
    norms = BatchNorm2d(3, eps=0.2), Flatten(), LayerNorm(216, eps=0.2)
    made["eps"] = Sequential(*norms, Linear(216, 4, rng), BatchNorm1d(4, eps=0.2), Linear(4, 5, rng))
    for model in made.values():
        shaken(model, 6)
    found = answers(odd, {name: described(model) for name, model in made.items()}, images, card)
    for name, model in made.items():
        want = model(x)
        bound = 1e-5 * max(1.0, np.abs(want).max())
        np.testing.assert_allclose(found[name], want, rtol=1e-5, atol=bound, err_msg=f"{name}: {model}")


@needs_chromium
@pytest.mark.parametrize("kind", sorted(LEVELS))
def test_every_layer_and_random_networks_of_whole_numbers_give_the_packages_integers(odd, kind):
    data, rng = pictures((3, 9, 8), 5, 20), np.random.default_rng(5)
    data.test_images[:3] = [[[[0]]], [[[255]]], [[[33]]]]
    made = in_whole_numbers(rng) | {f"random {i}": at_random(rng, whole=True) for i in range(40)}
    whole = {n: quantize(shaken(model, 6), card_of(data), data.train_images, kind=kind) for n, model in made.items()}
    found = answers(odd, {name: described(model) for name, model in whole.items()}, data.test_images, card_of(data), 0)
    for name, model in whole.items():
        sums = integer_logits(model, data.test_images)
        np.testing.assert_array_equal(found[name], sums, err_msg=f"{name}: {made[name]}")


def answers(page, networks, images, card, logit_bits=None):
    """Return the logits that the page's scripts compute for networks that the page does not hold, by name."""
    model = json.dumps({"mean": card.mean, "std": card.std, "logit_bits": logit_bits})
    pixels = json.dumps(images.reshape(len(images), -1).tolist())
    ask = f"""Object.fromEntries(Object.entries({json.dumps(networks)}).map(([name, layers]) => {{
        const model = {{ ...{model}, layers: unpacked(layers) }};
        return [name, {pixels}.map((p) => [...logitsOf(model, Uint8Array.from(p), {json.dumps(card.image)})])];
    }}))"""
    return evaluate(page, ask)


@needs_chromium
def test_half_goes_to_the_even_neighbour(odd):
    sums = [-5, 0, 1, 2, 3, 5, 6, 7, 10, 255, 256, 1021, 1022, 2**24 - 1]
    quarters, whole = evaluate(odd, f"[2, 0].map((r) => {sums}.map((u) => requantized(u, r)))")
    assert quarters == [0, 0, 0, 0, 1, 1, 2, 2, 2, 64, 64, 255, 255, 255]
    assert whole == [min(max(u, 0), 255) for u in sums]


@needs_chromium
def test_the_loss_and_its_gradient_are_the_packages(odd):
    rng, cases = np.random.default_rng(0), [(1.0, 0.0), (4.0, 0.9), (20.0, 1.0), (2.5, 0.35)]
    logits = rng.normal(0, 30, (len(cases), 2, 5))
    ask = "({}).map(([[z, v], [T, alpha]]) => distillationLoss(z, v, 3, T, alpha))"
    found = evaluate(odd, ask.format(json.dumps([*zip(logits.tolist(), cases, strict=True)])))
    for (z, v), (temperature, alpha), one in zip(logits, cases, found, strict=True):
        loss, gradient = losses.distillation_loss(z[None], v[None], np.array([3]), temperature, alpha)
        np.testing.assert_allclose(one["gradient"], gradient[0], atol=1e-12)
        assert one["loss"] == pytest.approx(float(loss), rel=1e-12)


# ---- from a drawing or a picture to pixels


@needs_chromium
def test_pictures_are_made_small_as_minikd_predict_does(odd, tmp_path):
    asked, expected = [], []
    for height, width in ((40, 30), (9, 8), (5, 4), (120, 17)):
        rgba = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
        rgba[..., 3] = 255
        Image.fromarray(rgba).save(tmp_path / "picture.png")
        for channels in (1, 3):
            asked.append([rgba.ravel().tolist(), width, height, channels])
            expected.append(load_image(tmp_path / "picture.png", (channels, 9, 8)).astype(int))
    planes = f"{asked}.map((one) => planesOf(...one).map((plane) => [...stretched(plane, 8, 9).data]))"
    for found, pixels in zip(evaluate(odd, planes), expected, strict=True):
        assert abs(np.array(found).reshape(pixels.shape) - pixels).max() <= 1


@needs_chromium
def test_a_digit_drawn_anywhere_in_any_size_comes_back_as_mnist_has_it(written, digits):
    digits, drawn = digits.test_images[:12, 0], []
    for i, digit in enumerate(digits):
        plane = np.zeros((400, 420), np.uint8)
        large = digit.repeat(4 + i % 9, 0).repeat(4 + i % 9, 1)
        plane[5 * i :, 7 * i :][: len(large), : len(large)] = large
        drawn.append(plane.ravel().tolist())
    ask = f"{drawn}.map((p) => centred({{ data: Uint8Array.from(p), width: 420, height: 400 }}, 28, 20))"
    found = evaluate(written.path, f"{ask}.map(({{ plane, frame }}) => [[...plane.data], frame])")
    likeness = []
    for (pixels, frame), digit in zip(found, digits, strict=True):
        seen = np.array(pixels).reshape(28, 28)
        assert max(frame["width"], frame["height"]) == 20
        assert all(abs((at * seen).sum() / seen.sum() - 14) <= 0.5 for at in np.indices(seen.shape))
        likeness.append(np.corrcoef(seen.ravel(), digit.ravel())[0, 1])
    assert np.median(likeness) > 0.98
    assert min(likeness) > 0.7  # a centre of mass half-way between two pixels may fall to the other one


@needs_chromium
def test_ink_is_found_on_paper_and_on_black_and_an_empty_page_has_none(written):
    paper = 200.0 + np.linspace(-20, 20, 60)[None, :] + np.zeros((60, 60))  # lit from one side
    paper[20:40, 25:30] = 40
    ask = "((p) => [...inkOf({ data: Uint8Array.from(p), width: 60, height: 60 }).data])"
    for picture in (paper, 255 - paper):
        found = np.array(evaluate(written.path, f"{ask}({picture.astype(int).ravel().tolist()})")).reshape(60, 60)
        assert (found[20:40, 25:30] == 255).all()
        assert found.sum() == 255 * 20 * 5
    assert not any(evaluate(written.path, f"{ask}({[200 + i % 3 for i in range(3600)]})"))


@needs_chromium
def test_a_picture_from_disk_is_read_as_ink_wherever_it_is_none_already(written, digits):
    digit = digits.test_images[0, 0].astype(int)
    asked = [(digit, 28), (255 - digit, 28), (255 - digit, 280), (digit, 280), (0 * digit + 200, 90)]
    ask = ", ".join(f"{FROM_DISK}({pixels.ravel().tolist()}, {size})" for pixels, size in asked)
    same, *read, empty = evaluate(written.path, f"[{ask}]")
    assert same == [digit.ravel().tolist(), "it.png, as it is."]
    for pixels, words in read:
        assert np.corrcoef(pixels, digit.ravel())[0, 1] > 0.9
        assert words.startswith("it.png, cut to its ink, scaled to 20 × 20")
    assert empty == [[0] * 784, "it.png shows no ink."]


@needs_chromium
def test_the_page_finds_and_places_ink_as_minikd_predict_does(written, digits):
    rng, planes = np.random.default_rng(0), []
    for i, digit in enumerate(digits.test_images[:10, 0]):
        large = digit.repeat(2 + i % 3, 0).repeat(2 + i % 3, 1).astype(float)
        plane = np.pad(large, [tuple(rng.integers(3, 40, 2)) for _ in range(2)]) * (0.4 + 0.06 * i)
        plane += np.linspace(0, 20, plane.shape[1])[None] + rng.normal(5, 2, plane.shape)  # light from a side, noise
        plane[rng.integers(len(plane), size=9), rng.integers(plane.shape[1], size=9)] = 255  # dust
        if i % 3 == 0:
            plane[:3] = plane[:, -2:] = 230  # a frame
        planes.append((plane if i % 2 else 255 - plane).clip(0, 255).astype(np.uint8))
    planes.append(np.full((20, 30), 240, np.uint8))
    asked = [[plane.ravel().tolist(), plane.shape[1], plane.shape[0]] for plane in planes]
    ask = """.map(([p, width, height]) => inkOf({ data: Uint8Array.from(p), width, height }))
        .map((ink) => [[...ink.data], centred(ink, 28, 20)])
        .map(([ink, made]) => [ink, made && [...made.plane.data], made && Object.values(made.frame)])"""
    for plane, (ink, pixels, frame) in zip(planes, evaluate(written.path, f"{asked}{ask}"), strict=True):
        ours, _ = ink_of(plane)
        np.testing.assert_array_equal(np.reshape(ink, plane.shape), ours)
        made = centred(ours, 28, 20)
        assert (made is None) == (pixels is None)
        if made:
            assert frame == list(made.placed)
            assert abs(np.reshape(pixels, (28, 28)) - made.plane.astype(int)).max() <= 1


@needs_chromium
def test_a_thing_on_white_is_turned_where_the_networks_know_things_on_black(digits, tmp_path):
    model, digit = models.mlp((1, 28, 28), (8,), 10, np.random.default_rng(0)), digits.test_images[0, 0].astype(int)
    turned = ", light and dark inverted."
    for images, expected in ((digits.train_images, turned), (255 - digits.train_images, ".")):
        data = replace(digits, train_images=images, class_names=tuple(f"shirt {k}" for k in range(10)))
        page = write_page({"teacher": (model, card_of(data))}, data, tmp_path / "page.html")
        ask = f"[{FROM_DISK}({(255 - digit).ravel().tolist()}, 28), {FROM_DISK}({digit.ravel().tolist()}, 28)]"
        (on_white, words), (on_black, plain) = evaluate(page.path, ask)
        assert words == f"it.png, as it is{expected}"
        assert on_white == (digit if expected == turned else 255 - digit).ravel().tolist()
        assert (on_black, plain) == (digit.ravel().tolist(), "it.png, as it is.")


@needs_chromium
def test_keys_draw_step_and_clear_and_the_answers_are_said(written):
    found = evaluate(
        written.path,
        """(() => {
        const said = [], event = (key) => new KeyboardEvent("keydown", { key, cancelable: true });
        const press = (key) => paper.canvas.dispatchEvent(event(key));
        const say = () => said.push(byId("spoken").textContent);
        press("Delete"), say();
        press(" "), press("ArrowDown"), press("ArrowDown"), press(" "), say();
        const ink = shown.pixels.reduce((a, b) => a + b);
        const scrolls = press("ArrowUp");
        byId("next").click(), say();
        return { said, ink, scrolls, where: byId("where").textContent };
        })()""",
    )
    cleared, drawn, stepped = found["said"]
    assert cleared == "Cleared."
    for said in (drawn, stepped):
        assert re.fullmatch(r"Teacher: \d, \d+ per cent\. Baseline student: .* Distilled student: .*\.", said)
    assert found["ink"] > 1000
    assert not found["scrolls"]
    assert found["where"].startswith("2 of ")


@needs_chromium
def test_the_sliders_change_the_soft_targets_the_loss_and_the_gradient(written):
    slid = """(id, value) => {
        byId(id).value = value, byId(id).dispatchEvent(new Event("input"));
        const number = (text) => Number(text.replace("−", "-"));
        const numbers = (tr) => [...tr.querySelectorAll(".number")].map((n) => number(n.textContent));
        const cells = [...byId("targets").querySelectorAll("tbody tr")].map(numbers);
        return { cells, loss: byId("loss").textContent, said: byId(`${id}-value`)?.textContent };
    }"""
    cold, warm, none, other = evaluate(
        written.path, f"((f) => [f('temperature', 1), f('temperature', 20), f('alpha', 0), f('label', 7)])({slid})"
    )
    assert (cold["said"], warm["said"], none["said"]) == ("1", "20", "0.00")
    assert max(row[0] for row in cold["cells"]) > max(row[0] for row in warm["cells"])
    assert cold["loss"] != warm["loss"] != none["loss"]
    assert min(row[2] for row in other["cells"]) == other["cells"][7][2] < 0  # only the label's logit rises
    assert sum(row[2] for row in other["cells"]) == pytest.approx(0, abs=0.06)


@needs_chromium
def test_the_sliders_start_where_the_run_was(trio, digits, tmp_path):
    page = write_page(trio, digits, str(tmp_path / "page.html"), temperature=0.5, alpha=0.33)
    asked = "['min', 'max', 'value'].map((name) => byId('temperature')[name]).concat(byId('alpha').value)"
    assert evaluate(page.path, asked) == ["0.5", "20", "0.5", "0.33"]
    page = write_page(trio, digits, tmp_path / "page.html", temperature=42.3, alpha=1.0)
    assert evaluate(page.path, asked) == ["1", "42.3", "42.3", "1"]
    for wrong in ({"temperature": 0.0}, {"temperature": float("nan")}, {"alpha": 1.5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            write_page(trio, digits, tmp_path / "page.html", **wrong)


@needs_chromium
def test_at_360_pixels_nothing_is_cut_off(written, odd, tmp_path):
    for path in (written.path, odd):
        send = "<script>parent.postMessage([innerWidth, document.documentElement.scrollWidth], '*')</script>"
        inner = tmp_path / "inner.html"
        inner.write_text(path.read_text().replace("</body>", f"{send}</body>"))
        outer = tmp_path / "outer.html"
        outer.write_text(
            "<body><pre id='found'></pre>"
            "<script>onmessage = (e) => (found.textContent = JSON.stringify(e.data))</script>"
            f"<iframe src='{inner.as_uri()}' width=360 height=740 frameborder=0></iframe>"
        )
        width, needed = json.loads(text_of(dom(outer, "", "--virtual-time-budget=5000"), "found"))
        assert width == 360
        assert needed <= 360


@needs_chromium
def test_names_that_look_like_markup_stay_text(odd):
    found = selftest(odd)
    assert found["passed"]
    assert found["drawing"] == "none"
    names = "[...document.querySelectorAll('#answers tbody th')].map((th) => th.textContent)"
    assert evaluate(odd, names) == list(EVIL[:5])
    heads = "[...document.querySelectorAll('#answers thead .name')].map((head) => head.textContent)"
    assert evaluate(odd, heads) == ["Teacher", "My <student>"]


@needs_chromium
def test_of_many_classes_the_ten_most_probable_are_shown(tmp_path):
    data = pictures((1, 6, 6), 31, 93)
    model = Sequential(Flatten(), Linear(36, 31, np.random.default_rng(0)))
    page = write_page({"student_distilled": (model, card_of(data))}, data, tmp_path / "page.html")
    ask = "[...document.querySelectorAll('#answers tbody tr')].map((tr) => [...tr.cells].map((td) => td.textContent))"
    shown = evaluate(page.path, ask)
    card = card_of(data)
    q = losses.softmax(model(Views(data.test_images[:1], data.test_labels[:1], card.mean, card.std).clean()))[0]
    best = sorted(np.argsort(-q)[:10])
    assert [name for name, _ in shown] == [f"kind {k}" for k in best]
    assert [float(p) for _, p in shown] == pytest.approx(100 * q[best], abs=0.051)


# ---- the file


def test_the_page_is_one_whole_file_that_loads_nothing(written, odd):
    for path in (written.path, odd):
        page = page_at(path)
        links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
        assert links == ["data:,", "#selftest"]
        assert len([tag for tag, _ in page.tags if tag == "script"]) == 2
        (policy,) = (one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'")
        outside = set(re.findall(r"(?:https?:)?//[a-z][^\s\"']*\.[a-z]+", page.source.split('id="payload"')[0]))
        assert not outside


def test_every_control_has_a_name_and_every_id_is_there_once(written):
    page = page_at(written.path)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes["for"] for tag, attributes in page.tags if tag == "label"}
    controls = [attributes for tag, attributes in page.tags if tag in ("input", "select", "canvas")]
    assert all(one["id"] in labelled or "aria-label" in one for one in controls)
    for _, attributes in page.tags:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
    assert [tag for tag, one in page.tags if one.get("aria-live")] == ["p", "p", "p"]


def test_the_page_says_what_it_holds(written, trio, digits):
    page = page_at(written.path)
    assert written.size == written.path.stat().st_size
    assert f"This file of {units.size(written.size)} contains the weights, {written.images} test images" in page.words
    assert f"They disagree on {written.disagreements} of the 400 test images" in page.words
    for model, card in trio.values():
        views = Views(digits.test_images, digits.test_labels, card.mean, card.std)
        wrong = np.count_nonzero(model(views.clean()).argmax(1) != digits.test_labels)
        assert f"{model.size:,} {units.size(4 * model.size)} {wrong} of 400" in page.words
    assert "Draw a digit, and three networks answer" in page.words
    assert "MNIST by Yann LeCun" in page.words


def test_whole_numbers_take_a_quarter_of_the_bytes(trio, digits, tmp_path):
    large = write_page(trio, digits, tmp_path / "large.html")
    small = write_page(trio, digits, tmp_path / "small.html", kind="int8")
    weights = sum(model.size for model, _ in trio.values())
    assert large.size - small.size > 2.9 * weights * 4 / 3
    assert "whole numbers" in page_at(small.path).words
    assert "whole numbers" not in page_at(large.path).words


def test_one_network_has_no_teacher_to_learn_from(trio, digits, tmp_path):
    page = page_at(write_page({"student_distilled": trio["student_distilled"]}, digits, tmp_path / "page.html").path)
    assert "Draw a digit, and one network answers" in page.words
    assert "What the network sees" in page.words
    assert "What the student learns from" not in page.words
    assert "disagree" not in page.words


def test_what_the_only_network_gets_wrong_is_in_the_page(trio, digits, tmp_path):
    model, card = trio["student_distilled"]
    labels = model(Views(digits.test_images, digits.test_labels, card.mean, card.std).clean()).argmax(1)
    wrong = np.arange(0, 400, 17)
    labels[wrong] = (labels[wrong] + 1) % 10
    page = write_page({"me": (model, card)}, replace(digits, test_labels=labels), tmp_path / "page.html")
    numbers = json.loads(re.search(r'"numbers":(\[[0-9,]*\])', page.path.read_text())[1])
    assert np.isin(wrong, numbers).all()


def test_what_is_no_character_in_ink_is_not_drawn(digits, tmp_path):
    rng = np.random.default_rng(0)
    model = models.mlp((1, 28, 28), (8,), 10, rng)
    for data, draws in (
        (digits, True),
        (replace(digits, class_names=tuple(f"{k} - number {k}" for k in range(10))), True),
        (replace(digits, class_names=tuple(f"shirt {k}" for k in range(10))), False),
        (replace(digits, train_images=255 - digits.train_images), False),
    ):
        page = page_at(write_page({"teacher": (model, card_of(data))}, data, tmp_path / "page.html").path)
        assert ("Draw a digit" in page.words) == draws
        assert ("clear" in [attributes.get("id") for _, attributes in page.tags]) == draws


def test_images_in_floats_are_compared_as_the_bytes_that_the_page_holds(digits, tmp_path):
    data = replace(digits, train_images=digits.train_images / 255, test_images=digits.test_images / 255)
    model = models.mlp((1, 28, 28), (8,), 10, np.random.default_rng(0))
    write_page({"teacher": (model, card_of(digits))}, digits, tmp_path / "bytes.html")
    write_page({"teacher": (model, card_of(digits))}, data, tmp_path / "floats.html")
    assert (tmp_path / "bytes.html").read_bytes() == (tmp_path / "floats.html").read_bytes()
    with pytest.raises(DtypeError, match="uint8"):
        write_page({"teacher": (model, card_of(data))}, data, tmp_path / "floats.html", kind="int8")


# ---- which test images


def test_two_thirds_of_the_images_are_disputed_where_there_are_so_many():
    apart = np.arange(0, 10_000, 10)
    chosen = images_shown(apart, 10_000, 784)
    assert len(chosen) == len(set(chosen)) == MOST_IMAGES
    assert np.isin(chosen, apart).sum() == 200
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] < 100
    assert chosen[-1] > 9900


@pytest.mark.parametrize(("apart", "total"), [([], 10_000), ([7], 300), (range(40), 40), (range(350), 400), ([], 1)])
def test_the_images_fill_the_page_however_many_are_disputed(apart, total):
    chosen = images_shown(np.array(apart, int), total, 784)
    assert len(chosen) == len(set(chosen)) == min(total, MOST_IMAGES)
    assert chosen[-1] < total


def test_large_images_are_fewer():
    assert len(images_shown(np.arange(500), 1000, 3 * 224 * 224)) == 6
    assert len(images_shown(np.arange(500), 1000, 10**7)) == 1


# ---- what is refused


class Swish(Layer):
    def forward(self, x, training=False, rng=None):
        return x / (1 + np.exp(-x)), None


class Known(Swish):
    def export(self):
        return [ReLU()]


def test_a_layer_of_somebody_elses_is_refused_by_name_or_says_what_it_is(tmp_path):
    data, rng = pictures((1, 4, 4), 3), np.random.default_rng(0)

    def model(layer):
        return Sequential(Flatten(), Linear(16, 4, rng), layer, Linear(4, 3, rng))

    with pytest.raises(ConfigError, match=r"layer 2, Swish\(\) is not one of minikd's"):
        write_page({"teacher": (model(Swish()), card_of(data))}, data, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    write_page({"teacher": (model(Known()), card_of(data))}, data, tmp_path / "page.html")
    assert '"layer":"ReLU"' in (tmp_path / "page.html").read_text()


def test_nothing_and_other_data_and_a_folder_that_is_not_there_are_refused(trio, digits, tmp_path):
    with pytest.raises(ConfigError, match="at least one model"):
        write_page({}, digits, tmp_path / "page.html")
    with pytest.raises(CheckpointError, match="trained on this data"):
        write_page(trio, pictures((1, 28, 28), 3), tmp_path / "page.html")
    (flat, card), rng = trio["student_distilled"], np.random.default_rng(0)
    with pytest.raises(ShapeError, match=r"answers \(32,\)"):
        write_page({"teacher": (Sequential(Flatten(), Linear(784, 32, rng)), card)}, digits, tmp_path / "page.html")
    broken = flat.copy()
    broken.vector[5] = np.nan
    with pytest.raises(Diverged, match=r"the model .*answers to 400 of 400 images are NaN"):
        write_page({"teacher": (broken, card)}, digits, tmp_path / "page.html")
    with pytest.raises(CheckpointError, match="create the folder first"):
        write_page({"teacher": trio["student_distilled"]}, digits, tmp_path / "none" / "page.html")
    banned = flat.copy()
    banned.vector[-1] = -np.inf
    with pytest.raises(ConfigError, match="returns minus infinity"):
        write_page({"teacher": (banned, card)}, digits, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
