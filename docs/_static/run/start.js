// Adds the buttons to a lesson page. A page from disk cannot start a worker, so it shows how to get the buttons.
{
    const place = document.currentScript.src;
    if (location.protocol === "file:") {
        const note = document.createElement("p");
        note.className = "run-note";
        note.append("To run and edit these cells here: ", Object.assign(document.createElement("code"), { textContent: "minikd lessons --serve" }));
        document.querySelector("article h1, article h2")?.after(note);
    } else {
        import(new URL("page.js", place));
    }
}
