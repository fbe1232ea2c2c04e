// Sets the page up and listens to its controls.

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

start();
