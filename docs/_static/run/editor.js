// A text field for Python. Enter keeps the indentation; Shift-Enter runs; Tab leaves the field, as everywhere on a page.
import { element } from "./element.js";

export function editor(text, label, run) {
    const field = element("textarea", { value: text, spellcheck: false, className: "run-editor", autocapitalize: "off" });
    field.setAttribute("aria-label", label);
    field.setAttribute("wrap", "off");
    const fit = () => { field.rows = field.value.split("\n").length + 1; };
    field.addEventListener("input", fit);
    field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.isComposing) return;
        event.preventDefault();
        if (event.shiftKey || event.ctrlKey || event.metaKey) run();
        else indent(field);
        fit();
    });
    fit();
    return field;
}

function indent(field) {
    const line = field.value.slice(0, field.selectionStart).split("\n").pop();
    const more = line.trimEnd().endsWith(":") ? "    " : "";
    field.setRangeText(`\n${line.match(/^ */)[0]}${more}`, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
}
