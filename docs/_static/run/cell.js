// A cell of a lesson: Run, Edit, Reset, Copy. The recorded output stays until the cell runs, and Reset brings it back.
import { button, copy, element } from "./element.js";
import { editor } from "./editor.js";
import { Output } from "./output.js";

export class Cell {
    constructor(place, number, count, kernel) {
        Object.assign(this, { place, number, name: `cell ${number} of ${count}`, kernel, above: [], field: null, ran: -1 }); // ran: the number of the Python that ran it
        this.shown = place.querySelector(".cell_input");
        this.recorded = [...place.querySelectorAll(":scope > .cell_output, :scope > details .cell_output")];
        this.given = this.shown.querySelector("pre").textContent.trimEnd();
        this.output = new Output();
        this.buttons = this.makeButtons();
        (this.shown.closest("details") ?? this.shown).after(this.buttons); // the buttons of folded code are visible too
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

    // A cell needs the names of the cells above it. Cells above that have not run yet run first.
    async runWithThoseAbove() {
        if (this.running) return;
        this.begin();
        const late = this.above.filter((cell) => cell.ran !== this.kernel.age);
        let right = true;
        for (const cell of late) {
            this.output.hear({ progress: `${cell.name} runs first ...` });
            right = await cell.run();
            if (!right) this.output.hear({ error: `${cell.name}, above, failed: see its output` });
            if (!right) break;
        }
        if (right) await this.answer();
        this.end();
    }

    async run() {
        if (this.running) return false;
        this.begin();
        const right = await this.answer();
        this.end();
        return right;
    }

    begin() {
        this.running = true;
        this.runButton.textContent = "Stop";
        this.output.clear();
    }

    end() {
        this.running = false;
        this.runButton.textContent = "Run";
        this.output.hear({ done: true });
    }

    // Runs the code. Returns true if it ran to its end.
    async answer() {
        let failed = false;
        const hear = (message) => {
            failed ||= Boolean(message.error);
            if (!message.progress) this.recorded.forEach((one) => { one.hidden = true; }); // there is new output
            this.output.hear(message);
        };
        try {
            await this.kernel.ask({ run: this.code, place: this.number, columns: this.output.columns() }, hear);
        } catch (error) {
            hear({ error: error.message });
        }
        this.ran = failed ? -1 : this.kernel.age;
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
