// Gives a lesson page its buttons. A page that is opened from disk may not start a worker, and says how to get them.
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
