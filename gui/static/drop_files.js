// Files that are dropped or chosen, sent to the inbox, and what becomes of them. Small ones go over /api/v1/ingest, in
// requests of so many, large ones by tus over /api/v1/uploads, each in pieces: what is durable is not sent again, also
// when the same file is dropped after the page was closed. Each request is asked for until its files can be found.
const UPLOADS = "/api/v1/uploads";
const TUS = { "tus-resumable": "1.0.0" };
const SOURCE = "upload";
const FILES_MAX = 500;
const BYTES_MAX = 32 * 2 ** 20;
const PIECE_BYTES = 8 * 2 ** 20;
const LOOK_EVERY_MS = 1000;
const TRIES = 8;
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 30_000;
const TRIED_AGAIN = [409, 423, 429, 502, 503, 504];
const IN = ["described", "done"];

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
// crypto.randomUUID is there for https alone.
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
const encoded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
// Where an upload goes on, by what a browser tells of a file; it is no secret, and no proof of what is in it.
const placeOf = (file) => `drystone upload ${file.name} ${file.size} ${file.lastModified}`;

class Refused extends Error {
  constructor(status, detail) {
    super(detail ?? `The server answers ${status}.`);
    this.status = status;
  }
}

// Files of dropped folders, too, whatever lies in them.
async function filesOf(items) {
  const entries = [...items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  const files = [];
  while (entries.length) {
    const entry = entries.shift();
    if (entry.isFile) files.push(await new Promise((done, failed) => entry.file(done, failed)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) break;
        entries.push(...some);
      }
    }
  }
  return files;
}

function* portions(files) {
  let some = [];
  let bytes = 0;
  for (const file of files) {
    if (some.length && (some.length === FILES_MAX || bytes + file.size > BYTES_MAX)) {
      yield some;
      [some, bytes] = [[], 0];
    }
    some.push(file);
    bytes += file.size;
  }
  if (some.length) yield some;
}

export default {
  template: `<div class="drop-files" :class="{ over: isOver }" @dragover.prevent="isOver = true" @dragleave="isOver = false" @drop.prevent="drop">
    <p>Drop files or a folder here, or choose some.</p>
    <div class="row">
      <label class="button primary">Choose files<input type="file" multiple class="visually-hidden" aria-label="Choose files" :disabled="isBusy" @change="choose" /></label>
      <label class="button">Choose a folder<input type="file" webkitdirectory class="visually-hidden" aria-label="Choose a folder" :disabled="isBusy" @change="choose" /></label>
    </div>
    <progress v-if="isBusy && total" :max="total" :value="done" aria-label="Sent"></progress>
    <p role="status" class="hint">{{ said }}</p>
    <p v-if="problem" role="alert" class="notice bad">{{ problem }}</p>
    <a v-if="isDone" class="button primary" href="/explorer">Look at them</a>
  </div>`,
  data: () => ({ isOver: false, isBusy: false, isDone: false, said: "", problem: "", total: 0, done: 0 }),
  methods: {
    async drop(event) {
      this.isOver = false;
      if (this.isBusy) return;
      try {
        await this.send(await filesOf(event.dataTransfer.items));
      } catch (error) {
        this.problem = `A file or folder cannot be read, so nothing was sent: ${error.message}`;
      }
    },
    async choose(event) {
      const files = [...event.target.files];
      event.target.value = "";
      await this.send(files);
    },
    async send(files) {
      if (this.isBusy || !files.length) return;
      const total = files.reduce((sum, one) => sum + one.size, 0);
      Object.assign(this, { isBusy: true, isDone: false, problem: "", total, done: 0 });
      const large = files.filter((one) => one.size > PIECE_BYTES);
      const small = files.filter((one) => one.size <= PIECE_BYTES);
      let sent = 0;
      const asked = [];
      const say = () => (this.said = `${sent} of ${files.length} files are sent…`);
      try {
        for (const some of portions(small)) {
          say();
          asked.push(await this.sendTogether(some));
          sent += some.length;
        }
        for (const file of large) {
          say();
          asked.push(await this.sendInPieces(file));
          sent += 1;
        }
        this.said = `${sent} files are in the inbox, and are stored now. They come in without this page, too.`;
        for (const address of asked) await this.wait(address);
        this.said = `${sent} files are in.`;
        this.isDone = true;
      } catch (error) {
        this.problem = `${error.message} ${sent} of ${files.length} files were taken.`;
        if (large.length) this.problem += " What came of a large file is kept: drop it again, and it goes on there.";
      }
      this.isBusy = false;
    },
    async sendTogether(files) {
      const form = new FormData();
      form.append("source", SOURCE);
      for (const file of files) form.append("files[]", file, file.name);
      const headers = { "idempotency-key": newKey() };
      const answer = await this.patiently(() => this.fetch("/api/v1/ingest", { method: "POST", body: form, headers }));
      this.done += files.reduce((sum, one) => sum + one.size, 0);
      return (await answer.json()).state_url;
    },
    // Returns the address of the request that a file is when it is whole.
    async sendInPieces(file) {
      const before = this.done;
      let place = localStorage.getItem(placeOf(file));
      let answer = place && (await this.offset(place));
      if (!answer) {
        const about = { filename: file.name, filetype: file.type, source: SOURCE };
        const said = Object.entries(about).filter(([, value]) => value);
        const headers = { ...TUS, "upload-length": `${file.size}`, "upload-metadata": said.map(([name, value]) => `${name} ${encoded(value)}`).join(",") };
        const made = await this.patiently(() => this.fetch(UPLOADS, { method: "POST", headers }));
        place = made.headers.get("location");
        localStorage.setItem(placeOf(file), place);
        answer = await this.offset(place);
      }
      while (!answer.headers.get("drystone-request")) {
        const offset = Number(answer.headers.get("upload-offset"));
        this.done = before + offset;
        const headers = { ...TUS, "content-type": "application/offset+octet-stream", "upload-offset": `${offset}` };
        const body = file.slice(offset, offset + PIECE_BYTES);
        let isFirst = true;
        answer = await this.patiently(async () => {
          // What came of a piece whose answer was lost is not sent again.
          const known = isFirst ? null : await this.fetch(place, { method: "HEAD", headers: TUS });
          isFirst = false;
          if (known && Number(known.headers.get("upload-offset")) !== offset) return known;
          return this.fetch(place, { method: "PATCH", headers, body });
        });
      }
      localStorage.removeItem(placeOf(file));
      this.done = before + file.size;
      return answer.headers.get("drystone-request");
    },
    // How far an upload is; nothing where it is gone, or another's.
    async offset(place) {
      try {
        return await this.patiently(() => this.fetch(place, { method: "HEAD", headers: TUS }));
      } catch (error) {
        if ([403, 404, 410].includes(error.status)) return null;
        throw error;
      }
    },
    async patiently(work) {
      for (let number = 1; ; number++) {
        try {
          return await work();
        } catch (error) {
          const isOver = error instanceof Refused && !TRIED_AGAIN.includes(error.status);
          if (isOver || number === TRIES) throw error;
          await pause(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** (number - 1)));
        }
      }
    },
    async fetch(address, options = {}) {
      const response = await fetch(address, options);
      if (response.ok) return response;
      const answer = await response.json().catch(() => ({}));
      throw new Refused(response.status, answer.detail);
    },
    async ask(address) {
      return (await this.fetch(address)).json();
    },
    async wait(address) {
      for (;;) {
        // They come in whether or not somebody can be asked just now.
        const { state, reason } = await this.ask(address).catch(() => ({}));
        if (IN.includes(state)) return;
        if (state === "failed") throw new Error(reason || "They could not be brought in; see the page Received.");
        await pause(LOOK_EVERY_MS);
      }
    },
  },
};
