// Files that are dropped or chosen, sent to the inbox over /api/v1/ingest, and what becomes of them. They go in
// requests of so many; each is durable when it is answered, and asked for until its files can be found.
const FILES_MAX = 500;
const BYTES_MAX = 512 * 2 ** 20;
const LOOK_EVERY_MS = 1000;
const IN = ["described", "done"];

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
    <p role="status" class="hint">{{ said }}</p>
    <p v-if="problem" role="alert" class="notice bad">{{ problem }}</p>
    <a v-if="isDone" class="button primary" href="/explorer">Look at them</a>
  </div>`,
  data: () => ({ isOver: false, isBusy: false, isDone: false, said: "", problem: "" }),
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
      Object.assign(this, { isBusy: true, isDone: false, problem: "" });
      let sent = 0;
      const asked = [];
      try {
        for (const some of portions(files)) {
          this.said = `${sent} of ${files.length} files are sent…`;
          const form = new FormData();
          form.append("source", "upload");
          for (const file of some) form.append("files[]", file, file.name);
          asked.push((await this.ask("/api/v1/ingest", { method: "POST", body: form })).state_url);
          sent += some.length;
        }
        this.said = `${sent} files are in the inbox, and are stored now. They come in without this page, too.`;
        for (const address of asked) await this.wait(address);
        this.said = `${sent} files are in.`;
        this.isDone = true;
      } catch (error) {
        this.problem = `${error.message} ${sent} of ${files.length} files were taken.`;
      }
      this.isBusy = false;
    },
    async ask(address, options = {}) {
      const response = await fetch(address, options);
      const answer = await response.json().catch(() => ({}));
      if (!response.ok) throw new Error(answer.detail ?? `The server answers ${response.status}.`);
      return answer;
    },
    async wait(address) {
      for (;;) {
        // They come in whether or not somebody can be asked just now.
        const { state, reason } = await this.ask(address).catch(() => ({}));
        if (IN.includes(state)) return;
        if (state === "failed") throw new Error(reason || "They could not be brought in; see the page Runs.");
        await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
      }
    },
  },
};
