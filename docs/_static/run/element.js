// Makes an element: element("button", { type: "button" }, "Run").
export function element(tag, given = {}, ...inside) {
    const made = Object.assign(document.createElement(tag), given);
    if (given.role) made.setAttribute("role", given.role);
    made.append(...inside);
    return made;
}

export function button(text, press) {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", press);
    return made;
}

// Copies a text, and shows this on the button for a moment.
export async function copy(text, from) {
    await navigator.clipboard.writeText(text);
    from.textContent = "Copied";
    setTimeout(() => { from.textContent = "Copy"; }, 1500);
}
