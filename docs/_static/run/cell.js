// A cell of a lesson: Run, Edit, Reset, Copy. The recorded output stays until the cell runs, and Reset brings it back.
import { button, copy, element } from "./element.js";
import { editor } from "./editor.js";
import { Output } from "./output.js";

export class Cell {
    constructor(place, number, count, kernel) {
        Object.assign(this, { place, number, name: `cell ${number} of ${count}`, kernel, above: [], field: null, ran: -1 }); // ran: in which Python
        this.shown = place.querySelector(".cell_input");
        this.recorded = [...place.querySelectorAll(":scope > .cell_output, :scope > details .cell_output")];
        this.given = this.shown.querySelector("pre").textContent.trimEnd();
        this.output = new Output();
        this.buttons = this.makeButtons();
        (this.shown.closest("details") ?? this.shown).after(this.buttons); // of folded code too they can be seen
        place.append(this.output.progress, this.output.place);
    }

    get code() {
        return this.field ? this.field.value : this.given;
    }

    makeButtons() {
        this.runButton = button("Run", () => (this.running ? this.kernel.stop() : this.runWithThoseAbove()));
        const bar = element(
            "div",
            { className: "run-buttons", role: "group" },
            this.runButton,
            button("Edit", () => this.edit()),
            button("Reset", () => this.reset()),
            button("Copy", (event) => copy(this.code, event.currentTarget)),
        );
        bar.setAttribute("aria-label", this.name);
        return bar;
    }

    // A cell needs the names of those above it: they run first, where they have not run yet.
    async runWithThoseAbove() {
        for (const cell of this.above) {
            if (cell.ran !== this.kernel.age && !(await cell.run())) return;
        }
        await this.run();
    }

    async run() {
        if (this.running) return false;
        this.running = true;
        this.runButton.textContent = "Stop";
        this.recorded.forEach((one) => { one.hidden = true; });
        this.output.clear();
        let failed = false;
        try {
            await this.kernel.ask({ run: this.code, place: this.number, columns: this.output.columns() }, (message) => {
                failed ||= Boolean(message.error);
                this.output.hear(message);
            });
            this.ran = failed ? -1 : this.kernel.age;
        } catch (error) {
            failed = true;
            this.output.hear({ error: error.message, done: true });
        }
        this.running = false;
        this.runButton.textContent = "Run";
        return !failed;
    }

    edit() {
        const folded = this.shown.closest("details");
        if (folded) folded.open = true;
        if (!this.field) {
            this.field = editor(this.given, `the code of ${this.name}`, () => this.runWithThoseAbove());
            this.shown.hidden = true;
            this.shown.after(this.field);
        }
        this.field.focus();
    }

    reset() {
        this.field?.remove();
        this.field = null;
        this.ran = -1;
        this.shown.hidden = false;
        this.recorded.forEach((one) => { one.hidden = false; });
        this.output.clear();
    }
}
