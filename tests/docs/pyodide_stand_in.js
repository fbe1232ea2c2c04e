// Stands in for Pyodide where it cannot be had: it prints a cell's first line, and knows what the test asks of Python.
(() => {
    const out = {};
    const say = (stream, text) => { out[stream](new TextEncoder().encode(text)); };

    function answer(what, [code, exercise]) {
        if (what === "check") return say("text", `${exercise.includes("NotImplementedError") ? 0 : 5} right, 0 wrong, 5 to do\n`);
        if (code.includes("1 / 0")) throw new Error('Traceback (most recent call last):\n  File "<cell 2>", line 2\nZeroDivisionError: division by zero');
        while (code.includes("while True")); // as endless as Python's
        say("progress", "a bar: 50%\r");
        say("text", `ran: ${code.split("\n")[0]}\n`);
        return code.includes("lesson.save(") ? new Uint8Array([137, 80, 78, 71]) : null;
    }

    async function attempt(what, ...given) {
        let found = [null, "", ""];
        try {
            const value = answer(what, given);
            found = [value && { toJs: () => value }, "", ""];
        } catch (error) {
            found = [null, error.message, ""];
        }
        return { get: (i) => found[i], destroy() {} };
    }

    self.loadPyodide = async ({ indexURL }) => ({
        indexURL,
        loadPackage: async () => [],
        loadPackagesFromImports: async () => [],
        unpackArchive(bytes) {
            if (bytes.byteLength < 1000) throw new Error("no archive");
        },
        registerJsModule() {},
        setStdout({ write }) { out.text = write; },
        setStderr({ write }) { out.progress = write; },
        runPython: () => [{ run: "run", check: "check" }, { callPromising: attempt }],
    });
})();
