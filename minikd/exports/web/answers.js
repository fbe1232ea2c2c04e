// What the networks see, and what they answer.

const MOST_ROWS = 12; // a table of more classes shows the most probable ten

// Shows an image's bytes, asks every network, and says where the image comes from.
function see(pixels, { label = null, words, frame = null }) {
  Object.assign(shown, { pixels, label, blank: false });
  for (const model of models) shown.answers.set(model.key, logitsOf(model, pixels, page.shape));
  drawPixels(byId("sees").getContext("2d"), pixels, false);
  drawFrame(pixels, frame);
  byId("seen").textContent = words;
  takeLabel();
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

// Draws an image on a canvas of the same size: as light, or as ink in the page's colour.
function drawPixels(context, pixels, asInk) {
  const image = context.createImageData(W, H);
  const area = H * W;
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
  const verdict = element(
    "span",
    { class: `verdict ${right}` },
    { right: "✓ right", wrong: "✗ wrong", "": " " }[right],
  );
  head.append(verdict);
  return head;
}

// The classes of a table, in their order: all, or the ten with the highest mean probability.
function classesShown(found) {
  const all = page.classes.map((_, k) => k);
  const known = found.filter((p) => p);
  if (all.length <= MOST_ROWS) return all;
  const mean = (k) => known.reduce((sum, p) => sum + p[k], 0);
  return [...all]
    .sort((a, b) => mean(b) - mean(a))
    .slice(0, 10)
    .sort((a, b) => a - b);
}

// A table of bars: a row for each class, a column for each head, and the unit in the corner.
function table(caption, unit, heads, rows) {
  const name = (k) => element("th", { scope: "row", title: page.classes[k] }, page.classes[k]);
  return element(
    "table",
    { class: "bars" },
    element("caption", { class: "away" }, caption),
    element("thead", {}, element("tr", {}, element("td", {}, unit), ...heads)),
    element("tbody", {}, ...rows.map(([k, cells]) => element("tr", {}, name(k), ...cells))),
  );
}

function bar(share, strong) {
  const fill = element("i", { class: strong ? "strong" : "" });
  fill.style.width = `${100 * (share ?? 0)}%`;
  return cell("bar", fill, share === null ? "" : (100 * share).toFixed(1));
}

function cell(kind, fill, text) {
  const inside = [element("span", { class: kind }, fill), element("span", { class: "number" }, text)];
  return element("td", {}, element("div", { class: "cell" }, ...inside));
}

// Gives the answers to screen readers. It is called when an image is finished, not during a stroke.
function speak() {
  const says = ({ key, name }) => {
    const p = softmax(shown.answers.get(key));
    const best = largest(p);
    return `${name}: ${page.classes[best]}, ${(100 * p[best]).toFixed(0)} per cent.`;
  };
  byId("spoken").textContent = shown.blank ? "Cleared." : models.map(says).join(" ");
}
