// The exercise at the end of a lesson: a reader's code, saved in this browser, and Check, as in `minikd check`.
import { button, copy, element } from "./element.js";
import { editor } from "./editor.js";
import { Output } from "./output.js";

export async function addExercise(name, kernel) {
    const skeleton = await (await fetch(new URL(`exercises/${name}.py`, import.meta.url))).text();
    const place = document.querySelector("#exercises, #exercise") ?? document.querySelector("article");
    const key = `minikd ${name}`, output = new Output();
    const field = editor(kept(key) ?? skeleton, "your code for the exercise", check);
    field.addEventListener("input", () => keep(key, field.value, skeleton));
    const checkButton = button("Check", () => (running ? kernel.stop() : check()));
    let running = false;

    async function check() {
        if (running) return;
        running = true;
        checkButton.textContent = "Stop";
        output.clear();
        const question = { check: name, code: field.value, columns: output.columns() };
        try {
            await kernel.ask(question, (message) => output.hear(message));
        } catch (error) {
            output.hear({ error: error.message, done: true });
        }
        running = false;
        checkButton.textContent = "Check";
    }

    function reset() {
        if (!confirm("Put the skeleton back? What you wrote here is lost.")) return;
        field.value = skeleton;
        field.dispatchEvent(new Event("input"));
        output.clear();
    }

    const copyButton = button("Copy", (event) => copy(field.value, event.currentTarget));
    const buttons = element("div", { className: "run-buttons", role: "group" }, checkButton, button("Reset", reset), copyButton);
    buttons.setAttribute("aria-label", "the exercise");
    const box = element("div", { className: "cell docutils container run-exercise" });
    box.append(element("p", {}, "Write your functions here. They are saved in this browser."), field, buttons, output.progress, output.place);
    place.append(box);
}

// A browser may refuse to save anything. Then the work is lost with the page.
function kept(key) {
    try {
        return localStorage.getItem(key);
    } catch {
        return null;
    }
}

function keep(key, text, skeleton) {
    try {
        if (text === skeleton) localStorage.removeItem(key); // so that the next visit uses the current skeleton
        else localStorage.setItem(key, text);
    } catch {}
}
