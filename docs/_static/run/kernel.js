// The page's side of worker.js. Python starts with the first request. `stop` ends it, also in an endless loop.
export class Kernel {
    constructor(settings, tell) {
        Object.assign(this, { settings, tell, worker: null, ready: null, running: false, waiting: new Map(), asked: 0, age: 0 });
    }

    start() {
        const began = performance.now();
        this.began = began;
        this.first = true;
        this.tell("Python starts (some 15 MB the first time) ...");
        this.worker = new Worker(new URL("worker.js", import.meta.url));
        this.ready = new Promise((resolve, reject) => {
            this.refuse = reject;
            this.worker.onerror = (event) => reject(new Error(event.message || "the worker could not be started"));
            this.worker.onmessage = ({ data }) => {
                if (data.ready) {
                    this.running = true;
                    this.tell(`Python started in ${seconds(began)} s.`);
                    resolve();
                } else if (data.failed) {
                    reject(new Error(data.failed));
                } else {
                    this.hear(data);
                }
            };
        });
        const address = (one) => new URL(one, import.meta.url).href;
        this.worker.postMessage({ pyodide: address(this.settings.pyodide), packed: address(this.settings.packed) });
    }

    // Requests { run } or { check, code }, calls `hear` with each message, and ends with the last one.
    async ask(question, hear) {
        if (!this.worker) this.start();
        const age = this.age;
        if (!this.running) hear({ progress: "Python starts ..." });
        try {
            await this.ready;
        } catch (error) {
            this.stop();
            this.tell(error.message);
            throw error;
        }
        if (age !== this.age) throw new Error("stopped");
        const id = ++this.asked;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { hear, resolve, reject });
            this.worker.postMessage({ id, ...question });
        });
    }

    hear(message) {
        const one = this.waiting.get(message.id);
        if (!one) {
            if (message.progress) this.tell(message.progress);
            return;
        }
        if (this.first && (message.text || message.picture || message.error)) {
            this.tell(`First output ${seconds(this.began)} s after Run. Sizes are those of --quick.`);
            this.first = false;
        }
        one.hear(message);
        if (message.done) {
            this.waiting.delete(message.id);
            one.resolve();
        }
    }

    stop() {
        this.worker?.terminate();
        this.age += 1; // cells that ran in an older Python must run again
        this.refuse?.(new Error("stopped"));
        for (const one of this.waiting.values()) one.reject(new Error("stopped"));
        this.waiting.clear();
        this.worker = this.ready = null;
        this.running = false;
        this.tell("Python was stopped and has lost its variables. The next Run starts it again.");
    }
}

const seconds = (began) => ((performance.now() - began) / 1000).toFixed(1);
