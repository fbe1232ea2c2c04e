"""The learner's own code: what is wrong with it is found, and said in words that name the mistake."""

import sys
from pathlib import Path

import pytest

from minikd.errors import ConfigError, ShapeError
from minikd.evidence.gradcheck import check_learner, explain

LAYERS = Path(__file__).parent / "learner_layers"

RIGHT = [
    "dense.py:Dense",
    "dense.py:layer",
    "dense.py:DxOnly",
    "elementwise.py:my_relu",
    "elementwise.py:whiten",
    "several.py:affine",
    "several.py:as_dict",
    "several.py:cross_entropy",
    "images.py:Conv",
    "images.py:Pool",
    "images.py:ScaleChannels",
]

# What is checked, and a piece of what must be said about it.
WRONG = {
    "dense.py:WrongSign": "dw: WRONG in 21 of 21 elements; the worst is dw[3, 0]: by hand -6.2",
    "dense.py:Averaged": "1/N (N = 5, the batch size). It is averaged, where the chain rule sums",
    "dense.py:BiasNotSummed": "db has shape (5, 3), but b has shape (3,): sum it over axis 0",
    "dense.py:WeightTransposed": "the axes are in another order",
    "dense.py:WeightReshaped": "it is transposed",
    "dense.py:ZeroInputGradient": "by hand it is 0 everywhere",
    "dense.py:UpstreamIgnored": "the upstream gradient dy is never multiplied in",
    "dense.py:FirstSampleOnly": "only sample 0 of the batch counts",
    "dense.py:BatchReversed": "the batch is scrambled",
    "dense.py:BatchShuffledBack": "the batch is scrambled",
    "dense.py:ParameterForgotten": "backward returned no db: b (3,) is never trained",
    "dense.py:ParameterMisspelt": "a gradient for 'weight', but there is no such array: x, w, b",
    "dense.py:NothingReturned": "backward returned None (is a return statement missing?)",
    "dense.py:TupleReturned": "backward returned a tuple of 3; it must return dx, or the pair",
    "dense.py:NoCache": "array of shape (5, 3) and dtype float64; it must return the pair (y, cache)",
    "dense.py:CacheIsNone": "did forward return the cache that backward needs?",
    "dense.py:ShapesClash": 'in backward: return dy @ self.params["w"], {}',
    "dense.py:WritesToInput": "forward writes into an array that is not its own (dense.py, line",
    "dense.py:WritesToUpstream": "in backward: dy *= 2): work on a copy",
    "dense.py:SpoilsItsCache": "it changes the cache or keeps something between",
    "dense.py:KeepsCopy": "not from a copy that the constructor made",
    "dense.py:Float64Inside": "y is float64, but the input is float32",
    "dense.py:NotANumber": "dw holds NaN or infinity",
    "dense.py:DrawsItsOwnNoise": "two forward passes of the same input differ",
    "dense.py:FailingConstructor": "the constructor raised RuntimeError: no coffee",
    "dense.py:TakesNothing": "forward accepts none of the shapes",
    "dense.py:Params": "params is an int; it must be a dict",
    "elementwise.py:mask_forgotten": "it is dy itself, passed through unchanged",
    "elementwise.py:mask_on_the_wrong_side": "the mask is inverted",
    "elementwise.py:leaky": "wrong exactly where x is negative",
    "elementwise.py:sigmoid_of_input": "cache the output, not the input",
    "elementwise.py:tanh_of_input": "cache the output, not the input",
    "elementwise.py:square_at_y": "it is the derivative at y, but must be the derivative at x",
    "elementwise.py:skip": "exactly dy is missing from it",
    "elementwise.py:doubled": "a path that is counted twice",
    "elementwise.py:softmax": "only the diagonal of the Jacobian is there",
    "elementwise.py:jump": "y does not change with this input",
    "elementwise.py:mean_path_lost": "the path through the mean over axis 0 is missing",
    "elementwise.py:variance_path_lost": "the path through the variance over axis 0 is missing",
    "elementwise.py:both_paths_lost": "the mean and the variance over axis 0 were treated as constants",
    "several.py:too_few": "each of x, w, b, in this order or as a dict. By their shapes it returned dx, dw, and left "
    "out db",
    "several.py:row_sums_added": "x never enters it: by hand it stays the same when x changes, but the true dx does",
    "several.py:scale": "a factor gamma is missing",
    "several.py:cross_entropy_not_averaged": "every element is 4 times what it should be: that is N",
    "several.py:no_gradient": "it must return one number and the array of its gradient",
    "images.py:KernelFlipped": "it is right for a w turned by 180°",
    "images.py:KernelRowsAndColumns": "its axes are swapped in the order (0, 1, 3, 2)",
    "images.py:CroppedWrongly": "but 1 below and 1 to the right of their places",
    "images.py:BiasOverPixels": "that is 1/(N·P·Q)",
    "images.py:BorderLost": "only along the border of the image",
    "images.py:WrongWindow": "all the right numbers are there, but in the wrong places",
    "images.py:SharedOut": "each image's sum is right, but it goes to other pixels",
    "images.py:AcrossTheWindow": "all the right numbers are there, but in the wrong places",
}


def check(name, **options):
    return check_learner(f"{LAYERS}/{name}", **options)


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_passes(name):
    report = check(name)
    assert report.ok, report.message
    assert "right" in explain(report).splitlines()[0]


@pytest.mark.parametrize(("name", "words"), WRONG.items())
def test_wrong_code_is_explained(name, words):
    report = check(name)
    assert not report.ok
    assert words in report.message


def test_right_parts_of_wrong_code_are_called_right():
    message = check("dense.py:WrongSign").message
    assert "dx: right, all 35 elements" in message
    assert "So look at the lines that lead to dw and not to dx or db." in message
    assert "db: right, all 3 elements" in message


def test_every_fixture_is_listed():
    defined = {
        f"{path.name}:{line.split()[1].split('(')[0].rstrip(':')}"
        for path in LAYERS.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("class ", "def ")) and "_backward" not in line and "example_inputs" not in line
    }
    refused = {"dense.py:NeedsSizes", "elementwise.py:alone", "several.py:unknown_argument"}
    assert defined - refused == {*RIGHT, *WRONG} - {"dense.py:layer"}


def test_shape_comes_from_the_flag_the_class_or_trial():
    assert "input of shape (9, 7), as asked for" in check("dense.py:Dense", shape=(9, 7)).message
    assert "input of shape (4, 3), the layer's example_shape" in check("dense.py:DxOnly").message
    assert "input of shape (5, 7), found by trial" in check("dense.py:Dense").message
    assert "input of shape (5, 7), the first that forward accepts" in check("dense.py:ShapesClash").message
    assert "input of shape (2, 3, 7, 6), found by trial" in check("images.py:ScaleChannels").message
    assert "inputs from example_inputs(rng)" in check("several.py:affine").message
    assert check("elementwise.py:my_relu", shape=(2, 3, 4)).shapes == {"x": (2, 3, 4)}


def test_a_shape_that_does_not_fit_is_explained():
    report = check("dense.py:Dense", shape=(4, 6))
    assert not report.ok
    assert "(A, C) = (A, B) @ (B, C)" in report.message
    with pytest.raises(ShapeError, match="the batch first, such as 4,7"):
        check("dense.py:Dense", shape=(0, 7))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.py:Dense", "nowhere.py does not exist"),
        (":Dense", "is a folder"),
        ("dense.py:Dens", "did you mean Dense"),
        ("dense.py", "does not tell what to check"),
        ("dense.py:number", "without forward and backward methods"),
        ("dense.py:NeedsSizes", r"cannot be made without inputs, outputs.*layer = NeedsSizes\(\.\.\.\)"),
        ("elementwise.py:alone", r"has no alone_backward\(dy, cache\)"),
        ("several.py:unknown_argument", "lacks nobody"),
    ],
)
def test_nothing_to_check_is_refused(name, words):
    with pytest.raises(ConfigError, match=words):
        check(name)


def write(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import numpy\ndef f(x:\n    pass\n", r"mine\.py, line 2: .*def f\(x:"),
        ("import no_such_package_here\n", r"ModuleNotFoundError.*mine\.py, line 1, in <module>: import no_such"),
        ("x = 1\ny = x / 0\n", r"ZeroDivisionError: division by zero \(mine\.py, line 2.*y = x / 0"),
        ("raise SystemExit('bye')\n", "SystemExit: bye"),
        ("x = 1\n", "the file has no layer and no f with f_backward"),
        ("def example_inputs(rng):\n    return 3\ndef f(x): ...\ndef f_backward(dy, c): ...\n", "must return a dict"),
        (
            "def example_inputs():\n    ...\ndef f(x): ...\ndef f_backward(dy, c): ...\n",
            r"example_inputs\(rng\) raised",
        ),
    ],
)
def test_trouble_in_the_file_names_the_line(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        check_learner(write(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match=r"mine\.py"):
        check_learner(str(path))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x = 1\0\n", r"mine\.py: source code (string )?cannot contain null bytes"),
        (b"# coding: no-such-encoding\n", r"mine\.py: unknown encoding"),
        (b"x = '\xe9'\n", r"mine\.py: invalid or missing encoding declaration"),
        (b"x = " + b"(" * 1000, r"mine\.py, line 1: too many nested parentheses"),
        (b"x = '" + b"x" * 10**6, r"mine\.py, line 1: unterminated string literal"),
    ],
)
def test_a_text_that_python_does_not_read_is_told_in_a_line(data, words, tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as refusal:
        check_learner(str(path))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 2000


def test_the_only_layer_needs_no_name_and_may_import_its_neighbour(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("FACTOR = 3\n")
    text = (
        "from neighbour_of_mine import FACTOR\n"
        "def f(x):\n    return FACTOR * x, None\n"
        "def f_backward(dy, cache):\n    return FACTOR * dy\n"
    )
    before, path = dict(sys.modules), list(sys.path)
    assert check_learner(write(tmp_path, text)).ok
    assert sys.path == path
    assert "mine" not in sys.modules or sys.modules["mine"] is before.get("mine")
    sys.modules.pop("neighbour_of_mine")


def test_a_layer_of_minikd_is_checked_in_both_modes(tmp_path):
    text = (
        "from minikd.nn import BatchNorm1d, Layer\n"
        "import numpy as np\n"
        "norm = BatchNorm1d(7)\n"
        "class Noise(Layer):\n"
        "    def forward(self, x, training=False, rng=None):\n"
        "        m = (rng.random(x.shape) > 0.5).astype(x.dtype) if training else np.ones_like(x)\n"
        "        return x * m, m\n"
        "    def backward(self, dy, m):\n"
        "        return dy * m, {}\n"
        "class OnlyEvaluated(Noise):\n"
        "    def backward(self, dy, m):\n"
        "        return dy, {}\n"
    )
    path = write(tmp_path, text)
    assert "in evaluation and in training mode" in check_learner(f"{path}:norm").message
    assert check_learner(f"{path}:Noise").ok
    report = check_learner(f"{path}:OnlyEvaluated")
    assert not report.ok
    assert "in training mode" in report.message


def test_the_seed_changes_the_numbers_and_not_the_verdict():
    one, same, other = (check("dense.py:Dense", seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.by_hand != other.by_hand
    assert other.ok
