// A lesson page: its cells, its exercise, and the Python that they share.
import { Cell } from "./cell.js";
import { element } from "./element.js";
import { addExercise } from "./exercise.js";
import { Kernel } from "./kernel.js";

const settings = await (await fetch(new URL("settings.json", import.meta.url))).json();
const note = element("p", { className: "run-note", role: "status" }, settings.note);
document.querySelector("article h1")?.after(note);

const kernel = new Kernel(settings, (text) => { note.textContent = text; });
const found = document.querySelectorAll("div.cell:has(.cell_input)");
const cells = [...found].map((place, i) => new Cell(place, i + 1, found.length, kernel));
cells.forEach((cell, i) => { cell.above = cells.slice(0, i); });

const name = location.pathname.split("/").pop().replace(/\.html$/, "");
if (settings.exercises.includes(name)) await addExercise(name, kernel);
document.documentElement.dataset.run = "offered";
