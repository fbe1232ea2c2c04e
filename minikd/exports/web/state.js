// The page's state: its payload, its networks, and what it shows.

const problems = []; // what went wrong in the page, for the self-test
window.addEventListener("error", (event) => problems.push(event.message));
window.addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));

const page = JSON.parse(byId("payload").textContent);
const [C, H, W] = page.shape;
const models = page.models.map((model) => ({ ...model, layers: unpacked(model.layers) }));
const shown = { pixels: new Uint8Array(C * H * W), blank: true, label: null, answers: new Map() };

function byId(id) {
  return document.getElementById(id);
}

// Makes an element from a tag, attributes and contents. Texts are inserted as text, never as markup.
function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}
