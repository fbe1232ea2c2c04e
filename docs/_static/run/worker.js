// The worker of a lesson page: Python (Pyodide), in a thread of its own, so that the page stays usable.
//
// It receives { id, run: code, place, columns } or { id, check: name, code, columns }, and sends, in order,
// { id, text } for printed text, { id, progress } for a progress bar on standard error, { id, picture } for a PNG,
// { id, error } for a traceback, and { id, done: true }. The first message it gets is { pyodide, packed }: addresses.

let python, cells, late, asked; // asked: the id of the running request
let before = Promise.resolve(); // requests run one after the other

self.onmessage = ({ data }) => {
    before = before.then(() => (data.pyodide ? start(data) : answer(data)));
};

const say = (message) => self.postMessage({ id: asked, ...message });

async function start({ pyodide, packed }) {
    const fetched = bytesAt(packed); // while Python starts
    fetched.catch(() => {}); // reported below
    try {
        self.importScripts(`${pyodide}pyodide.js`);
        python = await self.loadPyodide({ indexURL: pyodide });
        await loadPackage("numpy");
        python.unpackArchive(await fetched, "zip", { extractDir: "/lessons" });
        python.setStdout({ write: writer("text") });
        python.setStderr({ write: writer("progress") });
        prepare();
        self.postMessage({ ready: true });
    } catch (error) {
        self.postMessage({ failed: `Python did not start, from ${pyodide}: ${error.message}` });
    }
}

async function bytesAt(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address} could not be loaded (${answer.status})`);
    return answer.arrayBuffer();
}

function prepare() {
    python.registerJsModule("page", { load_package: loadPackage });
    [cells, late] = python.runPython(`
        import sys
        from pathlib import Path
        sys.path.insert(0, "/lessons")
        from pyodide.ffi import can_run_sync, run_sync
        import page
        from minikd.lessons.browser import Cells, LateImports, say_lines_at_once, error_text
        from minikd.lessons.safetensors_in_page import install
        install()
        def load(package):
            if can_run_sync():
                run_sync(page.load_package(package))
                return True
            return False
        late = LateImports(load)
        sys.meta_path.insert(0, late)
        say_lines_at_once()
        cells = Cells(Path("/lessons/lessons"))
        def attempt(run, *arguments):  # the value, what went wrong, and the package that was missing
            late.wanted = ""
            try:
                return run(*arguments), "", ""
            except BaseException as error:
                return None, error_text(error), late.wanted
            finally:
                sys.stdout.flush(); sys.stderr.flush()
        [cells, attempt]
    `);
}

const loadPackage = (name) => {
    say({ progress: `loading ${name} ...` });
    return python.loadPackage(name, { messageCallback() {}, checkIntegrity: true });
};

async function answer({ id, run, place, check, code, columns }) {
    asked = id;
    const work = check ? [cells.check, check, code] : [cells.run, run, place];
    try {
        python.runPython(`import os; os.environ["COLUMNS"] = "${Number(columns)}"`);
        await python.loadPackagesFromImports(run ?? code, { messageCallback() {} });
        let [value, error, wanted] = await attempt(work);
        while (wanted) { // Python cannot wait for a package in this browser: load it, and run the cell again
            await loadPackage(wanted);
            say({ again: true });
            [value, error, wanted] = await attempt(work);
        }
        if (error) say({ error });
        else if (typeof value === "string") say({ text: `${value}\n` });
        else if (value) say({ picture: new Blob([value], { type: "image/png" }) });
    } catch (error) {
        say({ error: String(error.message) });
    }
    say({ done: true });
}

async function attempt(work) {
    const found = await late.callPromising(...work);
    const [value, error, wanted] = [found.get(0), found.get(1), found.get(2)];
    found.destroy();
    return [value?.toJs ? value.toJs().slice() : value, error, wanted];
}

function writer(kind) {
    const decoder = new TextDecoder();
    return (bytes) => {
        say({ [kind]: decoder.decode(bytes, { stream: true }) });
        return bytes.length;
    };
}
