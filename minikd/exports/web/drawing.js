// The drawing area: a pen for mouse, finger and stylus, and one for the keyboard.

const CELL = Math.max(1, Math.round(560 / Math.max(W, H))); // canvas dots for each pixel that a network sees
const PEN = 2.4; // a stroke's width in such pixels: as in MNIST, if a drawing fills three quarters of the area
const paper = byId("paper").getContext("2d", { willReadFrequently: true });
const DRAWING = "Your drawing";
const INVITATION = "Nothing yet. Draw with a mouse, a finger or a pen.";
let fresh = false; // true if the paper shows a drawing, so that the next stroke is added to it

function clearPaper() {
  paper.clearRect(0, 0, paper.canvas.width, paper.canvas.height);
  fresh = true;
  paper.canvas.parentElement.classList.add("empty");
  byId("where").textContent = "";
}

// Puts an image of the networks' size on the paper, without smoothing.
function putOnPaper(pixels) {
  const small = element("canvas", { width: W, height: H });
  drawPixels(small.getContext("2d"), pixels, page.draw !== null);
  layOnPaper(small, paper.canvas.width, paper.canvas.height, false);
}

// Puts a picture in the middle of the paper. The next stroke replaces it.
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
  const { width, height } = paper.canvas;
  const rgba = paper.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = rgba[4 * i + 3]; // how much ink covers the dot
  seeInk({ data, width, height }, DRAWING);
}

function seeInk(ink, what) {
  const found = centred(ink, W, page.draw.box);
  if (!found) return seeNothing(what === DRAWING ? INVITATION : `${what} shows no ink.`);
  const { box } = page.draw;
  const scaled = `cut to its ink, scaled to ${box} × ${box}`;
  const words = `${what}, ${scaled} and placed in ${W} × ${H} by its centre of mass (+), as MNIST's authors did.`;
  see(found.plane.data, { words, frame: found.frame });
}

function listenToPen() {
  const canvas = paper.canvas;
  let last = null;
  let pointer = null;
  let waiting = false;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height,
    ];
  };
  const soon = () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), fresh && seeDrawing())); // not after a test image
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
    if (event.isTrusted) canvas.setPointerCapture(pointer); // the pointers of the self-test cannot be captured
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
  const canvas = paper.canvas;
  const step = CELL * 1.5;
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let at = [canvas.width / 2, canvas.height / 4];
  let down = false;
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
      if (down) (stroke(at, to), seeDrawing());
      at = to;
    } else if (event.key === " ") {
      down = !down;
      if (down) (stroke(at, at), seeDrawing());
      else speak();
    } else if (event.key === "Delete" || event.key === "Backspace") wipe();
    else return;
    event.preventDefault(); // otherwise the arrows and space scroll the page
    byId("pen").hidden = false;
    show();
  });
}

function wipe() {
  clearPaper();
  seeDrawing();
  speak();
}
