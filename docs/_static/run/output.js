// Shows a cell's results: printed text, pictures, a traceback.
import { element } from "./element.js";

export class Output {
    constructor() {
        this.place = element("div", { className: "cell_output docutils container run-output" });
        this.progress = element("p", { className: "run-progress", role: "status" });
        this.clear();
    }

    clear() {
        this.place.replaceChildren();
        this.text = null;
        this.progress.textContent = "";
    }

    hear(message) {
        if (message.again) this.clear();
        if (message.text) this.print(message.text, "run-text");
        if (message.error) this.print(`${message.error}\n`, "run-error");
        if (message.picture) this.picture(message.picture);
        if (message.progress) this.progress.textContent = message.progress.split(/[\r\n]/).filter(Boolean).pop() ?? "";
        if (message.done) this.progress.textContent = "";
    }

    print(text, kind) {
        if (this.text?.className !== kind) {
            this.text = element("pre", { className: kind, tabIndex: 0 }); // keys can scroll a focused element
            if (kind === "run-error") this.text.setAttribute("role", "alert");
            this.place.append(element("div", { className: "highlight" }, this.text));
        }
        this.text.append(text);
    }

    picture(png) {
        const image = element("img", { src: URL.createObjectURL(png), alt: "the figure that this cell draws" });
        this.place.append(image);
        this.text = null;
    }

    // The number of letters that fit into a line, for rows that Python prints: 40 to 80.
    columns() {
        const ruler = element("span", { textContent: "0".repeat(40) });
        const pre = element("pre", {}, ruler);
        const box = element("div", { className: "cell_output docutils container" }, element("div", { className: "highlight" }, pre));
        this.place.parentElement.append(box);
        const inside = pre.clientWidth - 2 * parseFloat(getComputedStyle(pre).paddingLeft);
        const fit = Math.floor(inside / (ruler.getBoundingClientRect().width / 40)) || 80;
        box.remove();
        return Math.max(40, Math.min(80, fit));
    }
}
