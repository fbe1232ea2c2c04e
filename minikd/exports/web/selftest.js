// Compares the page's answers to the test images with those that minikd computed when it wrote the page. Also draws a
// digit with simulated pointer events. Runs if the address ends in #selftest.

const MOST_TESTS = 200;

function selfTest() {
  const found = { images: Math.min(MOST_TESTS, tests.length), models: {}, drawing: page.draw ? drawingTest() : "none" };
  models.forEach((model, m) => (found.models[model.key] = compared(model, m, found.images)));
  found.errors = problems;
  const same = ({ classes, difference }) => classes === found.images && difference <= page.tolerance;
  const drawn = found.drawing === "none" || Object.values(found.drawing).every(Boolean);
  found.passed = Object.values(found.models).every(same) && drawn && !problems.length;
  return found;
}

// The number of images with equal classes, and the largest difference of a logit (relative for large logits).
function compared(model, m, count) {
  let classes = 0;
  let difference = 0;
  for (const test of tests.slice(0, count)) {
    const z = logitsOf(model, test.pixels, page.shape);
    classes += largest(z) === largest(test.logits[m]);
    z.forEach((v, k) => (difference = Math.max(difference, apart(v, test.logits[m][k]))));
  }
  return { classes, difference };
}

function apart(value, wanted) {
  return Math.abs(value - wanted) / Math.max(1, Math.abs(wanted));
}

// Draws a one in a corner, and checks what the networks see.
function drawingTest() {
  const canvas = paper.canvas;
  const box = canvas.getBoundingClientRect();
  const send = (type, x, y) => {
    const where = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
    canvas.dispatchEvent(new PointerEvent(type, { ...where, pointerId: 7 }));
  };
  wipe();
  const wiped = shown.blank;
  send("pointerdown", 0.2, 0.1);
  for (let i = 1; i <= 10; i++) send("pointermove", 0.2, 0.1 + i / 20);
  send("pointerup", 0.2, 0.6);
  const rows = shown.pixels.filter((_, i) => i % W === W >> 1);
  const [x, y] = centreOfMass({ data: shown.pixels, width: W });
  const checks = {
    wiped,
    answered: !shown.blank && models.every(({ key }) => shown.answers.get(key).every(Number.isFinite)),
    centred: Math.abs(x - W / 2) <= 0.5 && Math.abs(y - H / 2) <= 0.5,
    scaled: rows.filter((v) => v > 0).length === page.draw.box,
    touch_draws: getComputedStyle(canvas).touchAction === "none",
  };
  showTest();
  return checks;
}

function showSelfTest() {
  if (location.hash !== "#selftest") return;
  const found = selfTest();
  byId("selftest").hidden = false;
  byId("compared").textContent = JSON.stringify(found, null, 2);
  byId("verdict").textContent = verdict(found);
}

function verdict({ passed, images, models: each, errors }) {
  const furthest = Math.max(...Object.values(each).map(({ difference }) => difference));
  const logits = furthest ? `no logit differs by more than ${furthest.toFixed(6)}` : "every number is the same";
  if (passed) return `The same classes as in Python on ${images} test images; ${logits}.`;
  return `This page's answers differ from Python's. ${errors.join(" ")}`;
}

window.addEventListener("hashchange", showSelfTest);
showSelfTest();
