// Shows the test images of the page, one after another.

const tests = testImages();
const KINDS = [
  ["the networks disagree on", ({ answers }) => answers.some((k) => k !== answers[0])],
  ...models.map(({ name }, m) => [
    `${models.length > 1 ? name.toLowerCase() : "the network"} gets wrong`,
    ({ answers, label }) => answers[m] !== label,
  ]),
  ["all in this page", () => true],
];
let kinds = [];
let chosen = [];
let place = 0;

// Fills the list with the kinds that have an image.
function listTests() {
  const asked = tests.map((test) => ({ ...test, answers: test.logits.map(largest) }));
  kinds = KINDS.map(([words, fits]) => [words, asked.filter(fits)]).filter(([, found]) => found.length);
  byId("which").append(
    ...kinds.map(([words, found], i) => element("option", { value: i }, `${words} (${found.length})`)),
  );
}

function chooseTests() {
  chosen = kinds[byId("which").value][1];
  place = 0;
}

function showTest() {
  const test = chosen[place];
  const number = test.number.toLocaleString("en");
  const draw = page.draw ? " Draw to replace it with your own." : "";
  const words = `Test image ${number}, as it is.${draw}`;
  putOnPaper(test.pixels);
  see(test.pixels, { label: test.label, words });
  byId("where").textContent = `${place + 1} of ${chosen.length} · the label is ${page.classes[test.label]}`;
  speak();
}

function step(by) {
  place = (place + by + chosen.length) % chosen.length;
  showTest();
}

function testImages() {
  const pixels = bytesOf(page.tests.pixels);
  const size = C * H * W;
  const K = page.classes.length;
  const logits = page.models.map((model) => NUMBERS.float32(model.logits));
  return page.tests.numbers.map((number, i) => ({
    number,
    label: page.tests.labels[i],
    pixels: pixels.subarray(i * size, (i + 1) * size),
    logits: logits.map((all) => all.subarray(i * K, (i + 1) * K)),
  }));
}
