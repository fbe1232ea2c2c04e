// The page: what is shown, and what happens when somebody draws, loads, steps or slides.

const PEN = 2.4; // a stroke's width, in such pixels: that of MNIST's, once a drawing fills three quarters of the area
const MOST_ROWS = 12; // a table of more classes shows the most probable ten
const problems = []; // what went wrong in the page, for the self-test
window.addEventListener("error", (event) => problems.push(event.message));
window.addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));

const page = JSON.parse(byId("payload").textContent);
const [C, H, W] = page.shape;
const CELL = Math.max(1, Math.round(560 / Math.max(W, H))); // the drawing area's dots for each pixel that a network sees
const tests = testImages();
const models = page.models.map((model) => ({ ...model, layers: unpacked(model.layers) }));
const paper = byId("paper").getContext("2d", { willReadFrequently: true });
const shown = { pixels: new Uint8Array(C * H * W), blank: true, label: null, answers: new Map() };

function byId(id) {
  return document.getElementById(id);
}

// Makes an element: its tag, its attributes, what lies in it. Texts are set as text, never as markup.
function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function testImages() {
  const pixels = bytesOf(page.tests.pixels), size = C * H * W, K = page.classes.length;
  const logits = page.models.map((model) => NUMBERS.float32(model.logits));
  return page.tests.numbers.map((number, i) => ({
    number,
    label: page.tests.labels[i],
    pixels: pixels.subarray(i * size, (i + 1) * size),
    logits: logits.map((all) => all.subarray(i * K, (i + 1) * K)),
  }));
}

// ---- what the networks see, and what they answer -------------------------------------------------------------------

// Shows an image's bytes, asks every network, and says where the image comes from.
function see(pixels, { label = null, words, frame = null }) {
  Object.assign(shown, { pixels, label, blank: false });
  for (const model of models) shown.answers.set(model.key, logitsOf(model, pixels, page.shape));
  drawPixels(byId("sees").getContext("2d"), pixels, false);
  drawFrame(pixels, frame);
  byId("seen").textContent = words;
  showAnswers();
  showTeaching();
}

function seeNothing(words) {
  Object.assign(shown, { pixels: new Uint8Array(C * H * W), blank: true, label: null });
  shown.answers.clear();
  drawPixels(byId("sees").getContext("2d"), shown.pixels, false);
  drawFrame(shown.pixels, null);
  byId("seen").textContent = words;
  showAnswers();
  showTeaching();
}

// Puts an image on a canvas of its own size: as light, or as ink that takes the page's colour.
function drawPixels(context, pixels, asInk) {
  const image = context.createImageData(W, H), area = H * W;
  for (let i = 0; i < area; i++)
    for (let c = 0; c < 4; c++)
      image.data[4 * i + c] = asInk ? (c === 3 ? pixels[i] : 0) : c === 3 ? 255 : pixels[(C === 3 ? c : 0) * area + i];
  context.putImageData(image, 0, 0);
}

// Marks the ink's frame and its centre of mass on what the networks see.
function drawFrame(pixels, frame) {
  byId("box").hidden = byId("mass").hidden = !frame;
  if (!frame) return;
  const [x, y] = centreOfMass({ data: pixels, width: W });
  const at = { left: frame.left / W, top: frame.top / H, width: frame.width / W, height: frame.height / H };
  for (const [name, share] of Object.entries(at)) byId("box").style[name] = `${100 * share}%`;
  byId("mass").style.left = `${(100 * (x + 0.5)) / W}%`;
  byId("mass").style.top = `${(100 * (y + 0.5)) / H}%`;
}

function showAnswers() {
  const found = models.map((model) => (shown.blank ? null : softmax(shown.answers.get(model.key))));
  const heads = models.map((model, m) => answerHead(model.name, found[m]));
  const rows = classesShown(found).map((k) => [k, found.map((p) => bar(p && p[k], p && k === largest(p)))]);
  byId("answers").replaceChildren(table("Probability of each class, in per cent", "%", heads, rows));
}

function answerHead(name, p) {
  const head = element("th", { scope: "col" }, element("span", { class: "name" }, name));
  const best = p ? largest(p) : null;
  head.append(element("span", { class: "answer" }, best === null ? "\u00a0" : page.classes[best]));
  const right = best === null || shown.label === null ? "" : best === shown.label ? "right" : "wrong";
  const verdict = element("span", { class: `verdict ${right}` }, { right: "✓ right", wrong: "✗ wrong", "": " " }[right]);
  head.append(verdict);
  return head;
}

// The classes of a table, in their order: all, or the ten with the highest mean probability.
function classesShown(found) {
  const all = page.classes.map((_, k) => k), known = found.filter((p) => p);
  if (all.length <= MOST_ROWS) return all;
  const mean = (k) => known.reduce((sum, p) => sum + p[k], 0);
  return [...all].sort((a, b) => mean(b) - mean(a)).slice(0, 10).sort((a, b) => a - b);
}

// A table of bars: a row for each class, a column for each head; the unit stands in the corner.
function table(caption, unit, heads, rows) {
  const name = (k) => element("th", { scope: "row", title: page.classes[k] }, page.classes[k]);
  return element(
    "table", { class: "bars" }, element("caption", { class: "away" }, caption),
    element("thead", {}, element("tr", {}, element("td", {}, unit), ...heads)),
    element("tbody", {}, ...rows.map(([k, cells]) => element("tr", {}, name(k), ...cells))),
  );
}

function bar(share, strong) {
  const fill = element("i", { class: strong ? "strong" : "" });
  fill.style.width = `${100 * (share ?? 0)}%`;
  const number = element("span", { class: "number" }, share === null ? "" : (100 * share).toFixed(1));
  return element("td", {}, element("div", { class: "cell" }, element("span", { class: "bar" }, fill), number));
}

// Says the answers to those who listen; called when an image is whole, not with every stroke's dot.
function speak() {
  const says = ({ key, name }) => {
    const p = softmax(shown.answers.get(key)), best = largest(p);
    return `${name}: ${page.classes[best]}, ${(100 * p[best]).toFixed(0)} per cent.`;
  };
  byId("spoken").textContent = shown.blank ? "Cleared." : models.map(says).join(" ");
}

// ---- what the student learns from ----------------------------------------------------------------------------------

function showTeaching() {
  if (!byId("targets")) return;
  const T = Number(byId("temperature").value), alpha = Number(byId("alpha").value);
  byId("temperature-value").textContent = T;
  byId("alpha-value").textContent = alpha.toFixed(2);
  const student = models.find((model) => model.key === byId("student").value);
  const soft = `% at T\u00a0=\u00a0${T}`;
  const heads = [headOf("Teacher", soft), headOf(student.name, soft), headOf("Gradient", "at the logits")];
  if (shown.blank) return showNoTeaching(heads);
  const [z, v] = [shown.answers.get(student.key), shown.answers.get("teacher")];
  const found = distillationLoss(z, v, Number(byId("label").value), T, alpha);
  const p = softmax(v, T), q = softmax(z, T);
  const widest = Math.max(...found.soft.map(Math.abs), ...found.hard.map(Math.abs));
  const row = (k) => [k, [bar(p[k], false), bar(q[k], false), leaning(found.gradient[k], widest)]];
  byId("targets").replaceChildren(table("Soft targets in per cent, and the gradient", "", heads, classesShown([p, q]).map(row)));
  byId("scale").textContent = `A full half of the column is ${widest.toPrecision(2)}.`;
  showLoss(found, alpha);
}

function showNoTeaching(heads) {
  const row = (k) => [k, [bar(null, false), bar(null, false), leaning(null, 1)]];
  byId("targets").replaceChildren(table("Nothing to learn from yet", "", heads, classesShown([]).map(row)));
  byId("scale").textContent = "";
  showLoss({}, Number(byId("alpha").value));
}

function headOf(name, note) {
  return element("th", { scope: "col" }, element("span", { class: "name" }, name), element("span", { class: "verdict" }, note));
}

// A bar from the middle: to the left where the gradient is negative.
function leaning(value, widest) {
  const fill = element("i", { class: "strong" }), share = (50 * Math.abs(value ?? 0)) / widest;
  fill.style.width = `${share}%`;
  fill.style.marginLeft = `${value < 0 ? 50 - share : 50}%`;
  const text = value === null ? "" : value.toFixed(Math.abs(value) < 9.995 ? 2 : 1).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
  return element("td", {}, element("div", { class: "cell" }, element("span", { class: "bar middle" }, fill), element("span", { class: "number" }, text)));
}

function showLoss({ kl, ce, loss }, alpha) {
  const line = (name, weight, value) => {
    const cells = [weight, value === undefined ? "–" : value.toFixed(3)].map((text) => element("td", {}, text));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  };
  byId("loss").replaceChildren(
    line("T² · KL from the teacher", `${alpha.toFixed(2)} ×`, kl),
    line("Cross-entropy with the label", `${(1 - alpha).toFixed(2)} ×`, ce),
    line("Distillation loss", "=", loss),
  );
}

// The label of a test image; of a drawing the teacher's answer stands in.
function takeLabel() {
  if (byId("label") && !shown.blank) byId("label").value = shown.label ?? largest(shown.answers.get("teacher"));
}

// ---- test images ---------------------------------------------------------------------------------------------------

const KINDS = [
  ["the networks disagree on", ({ answers }) => answers.some((k) => k !== answers[0])],
  ...models.map(({ name }, m) => [`${name.toLowerCase()} gets wrong`, ({ answers, label }) => answers[m] !== label]),
  ["all in this page", () => true],
];
let kinds = [], chosen = [], place = 0;

// Fills the list of kinds, leaving out those of which there is no image.
function listTests() {
  const asked = tests.map((test) => ({ ...test, answers: test.logits.map(largest) }));
  kinds = KINDS.map(([words, fits]) => [words, asked.filter(fits)]).filter(([, found]) => found.length);
  byId("which").append(...kinds.map(([words, found], i) => element("option", { value: i }, `${words} (${found.length})`)));
}

function chooseTests() {
  chosen = kinds[byId("which").value][1];
  place = 0;
}

function showTest() {
  const test = chosen[place];
  const words = `Test image ${test.number.toLocaleString("en")}, as it is.${page.draw ? " Draw over it to begin your own." : ""}`;
  putOnPaper(test.pixels);
  see(test.pixels, { label: test.label, words });
  byId("where").textContent = `${place + 1} of ${chosen.length} · the label is ${page.classes[test.label]}`;
  takeLabel();
  showTeaching();
  speak();
}

function step(by) {
  place = (place + by + chosen.length) % chosen.length;
  showTest();
}

// ---- drawing -------------------------------------------------------------------------------------------------------

const DRAWING = "Your drawing";
let fresh = false; // whether what lies on the paper is a drawing, to which a stroke may be added

function clearPaper() {
  paper.clearRect(0, 0, paper.canvas.width, paper.canvas.height);
  fresh = true;
  paper.canvas.parentElement.classList.add("empty");
  byId("where").textContent = "";
}

// Lays an image of the networks' size on the paper, dot by dot.
function putOnPaper(pixels) {
  const small = element("canvas", { width: W, height: H });
  drawPixels(small.getContext("2d"), pixels, page.draw !== null);
  layOnPaper(small, paper.canvas.width, paper.canvas.height, false);
}

// Lays a picture in the middle of the paper; a stroke will not be added to it, but take its place.
function layOnPaper(picture, width, height, smooth) {
  clearPaper();
  fresh = false;
  paper.canvas.parentElement.classList.remove("empty");
  paper.imageSmoothingEnabled = smooth;
  paper.drawImage(picture, (paper.canvas.width - width) / 2, (paper.canvas.height - height) / 2, width, height);
}

function stroke(from, to) {
  if (!fresh) clearPaper();
  paper.canvas.parentElement.classList.remove("empty");
  Object.assign(paper, { lineWidth: PEN * CELL, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  paper.beginPath();
  paper.moveTo(...from);
  paper.lineTo(...to);
  paper.stroke();
}

function seeDrawing() {
  const { width, height } = paper.canvas, rgba = paper.getImageData(0, 0, width, height).data;
  seeInk({ data: Uint8Array.from({ length: width * height }, (_, i) => rgba[4 * i + 3]), width, height }, DRAWING);
}

function seeInk(ink, what) {
  const found = centred(ink, W, page.draw.box);
  if (!found) return seeNothing(what === DRAWING ? "Nothing yet. Draw with a mouse, a finger or a pen." : `${what} shows no ink.`);
  const { box } = page.draw, words = `${what}, cut to its ink, scaled to ${box} × ${box} and placed in ${W} × ${H} by its centre of mass (+), as MNIST's authors did.`;
  see(found.plane.data, { words, frame: found.frame });
  takeLabel();
  showTeaching();
}

function listenToPen() {
  const canvas = paper.canvas;
  let last = null, pointer = null, waiting = false;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const soon = () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), fresh && seeDrawing())); // a test image may have come
    waiting = true;
  };
  const lineTo = (event) => {
    const to = at(event);
    stroke(last, to);
    last = to;
    soon();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    if (event.isTrusted) canvas.setPointerCapture(pointer); // the self-test's pointers are not to be captured
    last = at(event);
    lineTo(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const between = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of between.length ? between : [event]) lineTo(one);
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      seeDrawing();
      speak();
    });
}

// The keyboard's pen: arrows move it, space lowers or lifts it, Delete clears.
function listenToKeys() {
  const canvas = paper.canvas, step = CELL * 1.5, MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let at = [canvas.width / 2, canvas.height / 4], down = false;
  const show = () => {
    byId("pen").style.left = `${(100 * at[0]) / canvas.width}%`;
    byId("pen").style.top = `${(100 * at[1]) / canvas.height}%`;
    byId("pen").classList.toggle("down", down);
  };
  canvas.addEventListener("focus", () => (show(), (byId("pen").hidden = !canvas.matches(":focus-visible"))));
  canvas.addEventListener("blur", () => ((byId("pen").hidden = true), (down = false)));
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move) {
      const to = at.map((v, d) => Math.min(Math.max(v + move[d] * step, 0), canvas.width));
      if (down) stroke(at, to), seeDrawing();
      at = to;
    } else if (event.key === " ") {
      down = !down;
      if (down) stroke(at, at), seeDrawing();
      else speak();
    } else if (event.key === "Delete" || event.key === "Backspace") wipe();
    else return;
    event.preventDefault(); // or the arrows and space would scroll the page
    byId("pen").hidden = false;
    show();
  });
}

function wipe() {
  clearPaper();
  seeDrawing();
  speak();
}

// ---- a picture from disk -------------------------------------------------------------------------------------------

async function load(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    byId("seen").textContent = `${file.name} cannot be read as a picture. Choose a PNG, JPEG, GIF, BMP or WebP file.`;
    return;
  }
  seePicture(bitmap, file.name);
  speak();
}

// A picture of the networks' own size is taken as it is. Of a larger one, ink is cut out and centred where the networks
// know ink; any other is stretched.
function seePicture(bitmap, name) {
  const shrink = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // what is transparent lies on white paper
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const planes = planesOf(context.getImageData(0, 0, width, height).data, width, height, C);
  if (page.draw && (width !== W || height !== H)) return seePaper(inkOf(planes[0]), name);
  const pixels = new Uint8Array(C * H * W);
  planes.forEach((plane, c) => pixels.set(stretched(plane, W, H).data, c * H * W));
  if (page.draw) putOnPaper(pixels);
  else layOnPaper(context.canvas, paper.canvas.width, paper.canvas.height, true);
  see(pixels, { words: width === W && height === H ? `${name}, as it is.` : `${name}, stretched to ${W} × ${H} pixels.` });
  takeLabel();
  showTeaching();
}

// Lays a picture's ink on the paper, and shows it as if it were drawn.
function seePaper(ink, name) {
  const sheet = element("canvas", { width: ink.width, height: ink.height }), context = sheet.getContext("2d");
  const image = context.createImageData(ink.width, ink.height), fit = paper.canvas.width / Math.max(ink.width, ink.height);
  ink.data.forEach((v, i) => (image.data[4 * i + 3] = v));
  context.putImageData(image, 0, 0);
  layOnPaper(sheet, ink.width * fit, ink.height * fit, true);
  seeInk(ink, name);
}

// ---- start ---------------------------------------------------------------------------------------------------------

function start() {
  Object.assign(paper.canvas, { width: W * CELL, height: H * CELL });
  Object.assign(byId("sees"), { width: W, height: H });
  document.documentElement.classList.toggle("ink", page.draw !== null);
  const longest = Math.max(...page.classes.map((name) => name.length));
  document.documentElement.style.setProperty("--names", `${Math.max(2, longest + 1)}ch`);
  document.documentElement.classList.toggle("words", longest > 2);
  byId("shown").hidden = page.classes.length <= MOST_ROWS;
  byId("shown").textContent = `The ten most probable of ${page.classes.length} classes.`;
  startTeaching();
  listTests();
  byId("which").addEventListener("change", () => (chooseTests(), showTest()));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) load(target.files[0]);
    target.value = ""; // the same file may be chosen again
  });
  if (page.draw) {
    listenToPen();
    listenToKeys();
    byId("clear").addEventListener("click", wipe);
  }
  chooseTests();
  showTest();
}

function startTeaching() {
  if (!byId("targets")) return;
  byId("label").append(...page.classes.map((name, k) => element("option", { value: k }, name)));
  const students = models.filter(({ key }) => key !== "teacher").reverse();
  byId("student").append(...students.map(({ key, name }) => element("option", { value: key }, name)));
  byId("temperature").max = Math.max(20, page.temperature);
  byId("temperature").value = page.temperature;
  byId("alpha").value = page.alpha;
  for (const id of ["temperature", "alpha", "label", "student"]) byId(id).addEventListener("input", showTeaching);
}

start();
