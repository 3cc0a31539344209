// One labeller's page: it owns the task in sight, the keys, and the answers on their way. What is
// answered is shown as answered at once, and sent until the server has it, in order. The pictures of
// the next tasks load meanwhile. Every text is set as text.
import { BoxBoard, hue } from "/static/label_boxes.js";

const RETRY_MS = 2000;
const TIMEOUT_MS = 20000;
const IDLE_MS = 5000;
const SCALE_MAX = 8;
const AWAY = {
  broken: "This picture is broken. Skip it.",
  away: "The store cannot give this picture now. Skip it, or come back later.",
  later: "This picture is not ready yet.",
};

const make = (tag, name = "", content = "") => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (content) element.textContent = content;
  return element;
};
const press = (name, content, key, act) => {
  const element = make("button", `button ${name}`);
  element.type = "button";
  element.append(make("span", "label-name", content));
  if (key) element.append(make("kbd", "", key));
  element.addEventListener("click", (event) => {
    // Chosen with the mouse: Enter belongs to the page again.
    if (event.detail) element.blur();
    act();
  });
  return element;
};
class Refused extends Error {}

export default {
  template: `<section class="label-work" :aria-label="question"></section>`,
  props: { source: String, question: String, kind: String, classes: Array, keys: Array },
  mounted() {
    this.tasks = [];
    this.unsent = [];
    this.task = null;
    this.said = 0;
    this.board = this.kind === "boxes" ? new BoxBoard(this.classes, () => this.showBoxes()) : null;
    this.build();
    this.onKey = (event) => this.key(event);
    // First of all: the keys of the pages would do something else.
    window.addEventListener("keydown", this.onKey, true);
    this.onLeave = (event) => this.unsent.length && event.preventDefault();
    window.addEventListener("beforeunload", this.onLeave);
    this.resizer = new ResizeObserver(() => this.fit());
    this.resizer.observe(this.stage);
    this.more();
  },
  beforeUnmount() {
    this.gone = true;
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("beforeunload", this.onLeave);
    this.resizer.disconnect();
    clearTimeout(this.timer);
    for (const task of this.tasks) this.forget(task);
  },
  methods: {
    build() {
      this.stage = make("div", "label-stage");
      this.about = make("p", "label-about");
      this.alert = make("p", "label-alert");
      this.alert.setAttribute("role", "alert");
      this.status = make("p", "label-status");
      this.status.setAttribute("role", "status");
      this.choices = make("div", "label-classes");
      this.choices.setAttribute("role", "group");
      this.choices.setAttribute("aria-label", this.board ? "Class of the next box" : "Classes");
      this.buttons = this.classes.map((name, place) => {
        const element = press("label-class", name, this.keys[place], () => this.choose(place));
        element.style.setProperty("--hue", hue(place));
        return element;
      });
      this.choices.append(...this.buttons);
      const side = make("div", "label-side");
      if (this.classes.length > 12) side.append(this.finder());
      side.append(this.choices);
      if (this.board) {
        this.list = make("div", "label-list");
        this.list.setAttribute("role", "group");
        this.list.setAttribute("aria-label", "Boxes");
        side.append(this.list, this.boxTools());
      }
      this.undoButton = press("small", "Undo", "u", () => this.undo());
      this.skipButton = press("small", "Skip", "s", () => this.skip());
      const tools = make("div", "label-tools");
      tools.append(this.skipButton, this.undoButton, this.status);
      side.append(tools, this.alert);
      const work = make("div", "label-sight");
      work.append(this.stage, this.about);
      this.$el.append(work, side);
    },
    finder() {
      const input = make("input", "label-find");
      input.placeholder = "Find a class";
      input.setAttribute("aria-label", "Find a class");
      input.dataset.search = "";
      input.addEventListener("input", () => {
        const words = input.value.toLowerCase();
        this.buttons.forEach((button, place) => {
          button.hidden = !this.classes[place].toLowerCase().includes(words);
        });
      });
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        const place = this.buttons.findIndex((button) => !button.hidden);
        if (event.key === "Enter" && place >= 0) this.choose(place);
        input.value = "";
        input.dispatchEvent(new Event("input"));
        input.blur();
        event.preventDefault();
      });
      return input;
    },
    boxTools() {
      const tools = make("div", "label-tools");
      this.saveButton = press("primary label-save", "Save", "Enter", () => this.save());
      tools.append(
        this.saveButton,
        press("small", "New box", "n", () => this.newBox()),
        press("small", "Delete box", "d", () => this.board.remove()),
      );
      tools.append(make("p", "label-keys", "Arrows move a box, with Shift they size it. Page Up and Page Down choose one."));
      return tools;
    },

    // ---- Tasks ---------------------------------------------------------------------------------

    async ask(path, body) {
      const given = { signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: "application/json" } };
      if (body !== undefined) {
        given.method = "POST";
        given.headers["content-type"] = "application/json";
        given.body = JSON.stringify(body);
      }
      const response = await fetch(this.source + path, given);
      const answer = await response.json();
      if (response.ok) return answer;
      if (response.status >= 500) throw new Error(answer.detail ?? "");
      throw new Refused(answer.detail ?? `the server said ${response.status}`);
    },
    async more() {
      clearTimeout(this.timer);
      try {
        const held = this.tasks.map((task) => task.id).join(",");
        this.take(await this.ask(`/tasks?held=${held}`));
        this.say("");
      } catch (error) {
        this.say(error instanceof Refused ? error.message : "The server does not answer. Trying again…");
        if (!(error instanceof Refused)) this.again(() => this.more());
      }
    },
    again(act, after = RETRY_MS) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.gone || act(), after);
    },
    take(answer) {
      const known = new Set([...this.tasks, ...this.unsent.map((one) => one.task)].map((task) => task.id));
      for (const task of answer.tasks) {
        if (known.has(task.id)) continue;
        this.load(task);
        this.tasks.push(task);
      }
      this.complete = Boolean(answer.complete);
      if (!this.task) this.next();
    },
    load(task) {
      task.ready = (async () => {
        if (task.text) {
          const response = await fetch(task.text);
          task.words = (await response.json()).text ?? "";
        }
        if (!task.picture || task.media) return;
        const response = await fetch(task.picture);
        task.state = response.headers.get("x-drystone-picture") ?? "";
        const [width, height, orientation] = (response.headers.get("x-drystone-source") ?? "").split(" ").map(Number);
        task.original = width && height ? { width, height, orientation } : null;
        task.address = URL.createObjectURL(await response.blob());
      })().catch(() => {
        task.state = "away";
      });
    },
    forget(task) {
      if (task.address) URL.revokeObjectURL(task.address);
    },
    next() {
      this.task = this.tasks[0] ?? null;
      this.show();
      if (!this.task && !this.unsent.length) this.again(() => this.more(), IDLE_MS);
    },

    // ---- Showing -------------------------------------------------------------------------------

    async show() {
      const task = this.task;
      this.image = null;
      this.showWords();
      if (!task) {
        this.board?.load(null, []);
        this.stage.replaceChildren(this.rest());
        this.about.textContent = "";
        return;
      }
      this.about.textContent = [task.title, task.facts].filter(Boolean).join(" · ");
      this.stage.replaceChildren(make("p", "label-wait", "Loading…"));
      await task.ready;
      if (this.task !== task || this.gone) return;
      const sight = this.sight(task);
      this.stage.replaceChildren(sight);
      const usable = this.image && !task.state && task.original;
      this.board?.load(usable ? task.original : null, task.answer?.boxes ?? []);
      this.mark(task.answer?.class);
      this.fit();
      this.stage.dataset.task = task.id;
    },
    sight(task) {
      if (task.media) return this.player(task);
      if (task.address) {
        const frame = make("div", "label-picture");
        this.image = make("img");
        this.image.alt = task.title || "The picture that is asked about";
        this.image.draggable = false;
        this.image.addEventListener("load", () => this.fit());
        this.image.src = task.address;
        frame.append(this.image);
        if (this.board) frame.append(this.board.element);
        if (!task.state) return frame;
        const both = make("div", "label-note");
        both.append(frame, make("p", "", AWAY[task.state] ?? "There is no picture."));
        return both;
      }
      if (task.text) return make("pre", "label-text", task.words ?? "The text cannot be read.");
      if (task.description) return make("p", "label-text", task.description);
      return make("p", "label-wait", task.state ? AWAY[task.state] : "Browsers cannot show files of this type. Skip it, or look at the staged file.");
    },
    player(task) {
      const frame = make("div", "label-note");
      const player = make(task.kind === "video" ? "video" : "audio");
      player.controls = true;
      player.preload = "metadata";
      if (task.picture) player.poster = task.picture;
      player.addEventListener("error", () => {
        frame.append(make("p", "", "This browser cannot play it. Look at the staged file, or skip it."));
      });
      player.src = task.media;
      frame.append(player);
      return frame;
    },
    rest() {
      const element = make("div", "label-rest");
      const done = this.complete ? "Everything is answered. Thank you." : "Nothing is left for you here.";
      element.append(
        make("p", "label-rest-title", done),
        make("p", "", this.complete ? "The run goes on by itself." : "Others have the last tasks in hand; this page looks again by itself."),
      );
      return element;
    },
    fit() {
      if (!this.image?.naturalWidth) return;
      const { clientWidth, clientHeight } = this.stage;
      const { naturalWidth, naturalHeight } = this.image;
      const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight, SCALE_MAX);
      this.image.style.width = `${Math.floor(naturalWidth * scale)}px`;
      this.image.style.height = `${Math.floor(naturalHeight * scale)}px`;
    },
    showWords() {
      const waiting = this.unsent.length ? `, ${this.unsent.length} on the way` : "";
      this.status.textContent = `${this.said} answered here${waiting}`;
      for (const button of [...this.buttons, this.skipButton]) button.disabled = !this.task;
      if (this.saveButton) this.saveButton.disabled = !this.task;
    },
    mark(name) {
      this.buttons.forEach((button, place) => {
        const on = this.board ? place === this.board.active : this.classes[place] === name;
        button.classList.toggle("on", on);
        button.setAttribute("aria-pressed", String(on));
      });
    },
    showBoxes() {
      if (!this.list) return;
      const { boxes, chosen } = this.board;
      this.mark();
      const focused = this.list.contains(document.activeElement);
      this.list.replaceChildren(
        ...boxes.map((box, place) => {
          const share = (value) => `${Math.round(value * 100)} %`;
          const words = `${this.classes[box.label]}, ${share(box.width)} × ${share(box.height)}`;
          const element = press(place === chosen ? "small on" : "small", words, "", () => this.board.choose(place));
          element.setAttribute("aria-pressed", String(place === chosen));
          element.style.setProperty("--hue", hue(box.label));
          return element;
        }),
      );
      if (focused) this.list.children[Math.max(0, chosen)]?.focus();
      const words = boxes.length === 1 ? "Save 1 box" : boxes.length ? `Save ${boxes.length} boxes` : "Nothing there";
      this.saveButton.firstChild.textContent = words;
    },
    say(words) {
      this.alert.textContent = words;
    },

    // ---- Answering -----------------------------------------------------------------------------

    choose(place) {
      if (!this.task) return;
      if (this.board) this.board.use(place);
      else this.done({ class: this.classes[place] });
    },
    skip() {
      if (this.task) this.done(null);
    },
    save() {
      if (!this.task) return;
      if (this.board.source) this.done({ boxes: this.board.answer() });
      else this.say("This cannot be marked: skip it.");
    },
    newBox() {
      this.board.add({ x: 0.375, y: 0.375, width: 0.25, height: 0.25 });
    },
    done(document) {
      // Not before it is in sight: a key that is held down must not answer what nobody saw.
      if (Number(this.stage.dataset.task) !== this.task.id) return;
      this.say("");
      this.unsent.push({ task: this.task, document });
      this.tasks.shift();
      this.said += 1;
      this.next();
      this.send();
    },
    async send() {
      if (this.sending || !this.unsent.length) return;
      this.sending = true;
      const { task, document } = this.unsent[0];
      try {
        const held = this.tasks.map((one) => one.id);
        const answer = await this.ask("/answer", { task: task.id, document, held });
        this.unsent.shift();
        this.forget(task);
        this.take(answer);
        this.say("");
      } catch (error) {
        if (error instanceof Refused) {
          this.unsent.shift();
          this.said -= 1;
          this.say(`Not kept: ${error.message}`);
          this.back(task, document);
        } else {
          this.say("The server does not answer. Your answers are kept here and sent when it does.");
          this.again(() => this.send());
        }
      }
      this.sending = false;
      this.showWords();
      if (this.unsent.length && !this.alert.textContent) this.send();
      else if (!this.unsent.length && !this.task) this.next();
    },
    async undo() {
      if (this.board?.undo()) return;
      if (this.unsent.length) {
        this.say("Wait until your answers are kept.");
        return;
      }
      if (this.undoing) return;
      this.undoing = true;
      try {
        const { task } = await this.ask("/undo", {});
        if (task) {
          this.said = Math.max(0, this.said - 1);
          this.say("");
          this.load(task);
          this.back(task, task.answer);
        } else {
          this.say("There is nothing to take back.");
        }
      } catch (error) {
        this.say(error instanceof Refused ? error.message : "Not taken back: the server does not answer.");
      }
      this.undoing = false;
    },
    back(task, document) {
      task.answer = document;
      this.tasks = [task, ...this.tasks.filter((one) => one.id !== task.id)];
      this.next();
    },

    // ---- Keys ----------------------------------------------------------------------------------

    key(event) {
      const typing = event.target.closest?.("input, textarea, select, .q-dialog");
      if (typing || event.altKey || event.metaKey) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (event.ctrlKey) {
        if (name !== "z") return;
        this.taken(event, () => this.undo());
        return;
      }
      const onButton = event.target.closest?.("button, a, [controls]");
      if (onButton && (name === "Enter" || name === " " || event.target.closest("[controls]"))) return;
      const place = this.keys.indexOf(name);
      if (place >= 0) {
        if (!event.repeat) this.taken(event, () => this.choose(place));
        else event.preventDefault();
        return;
      }
      const act = { s: () => event.repeat || this.skip(), u: () => event.repeat || this.undo() }[name];
      if (act) this.taken(event, act);
      else if (this.board) this.boxKey(event, name);
      else if (name === "Backspace") this.taken(event, () => event.repeat || this.undo());
    },
    boxKey(event, name) {
      const { board } = this;
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[name];
      const acts = {
        Enter: () => event.repeat || this.save(),
        n: () => this.newBox(),
        d: () => board.remove(),
        Delete: () => board.remove(),
        Backspace: () => board.remove(),
        z: () => board.undo(),
        PageDown: () => board.choose(board.chosen + 1),
        PageUp: () => board.choose(board.chosen < 0 ? -1 : board.chosen - 1),
        Escape: () => {
          board.chosen = -1;
          board.draw();
        },
      };
      if (steps && board.chosen >= 0) this.taken(event, () => board.nudge(...steps, event.shiftKey));
      else if (acts[name]) this.taken(event, acts[name]);
    },
    taken(event, act) {
      event.preventDefault();
      event.stopImmediatePropagation();
      act();
    },
  },
};
