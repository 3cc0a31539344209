// The explorer's grid: it owns which tiles exist at a time, out of as many nodes as there are.
// Pages come by cursor, tiles only for what is in sight. Every text is set as text. It also owns which
// tiles are chosen (tick, shift-click, dragging, Ctrl-A, space), and tells that as an event `choose`. What
// has a picture opens over the grid, see look.js.
const GAP_PX = 12;
const TILE_MIN_PX = 168;
const CAPTION_PX = 48;
const ROWS_BEYOND = 3;
const CHOSEN_MAX = 10000; // What an operation takes by name; more are chosen by the filters.
const KEPT_NODES_MAX = 5000;
const DRAG_MIN_PX = 6;
const EDGE_PX = 40; // So near the window's edge, dragging scrolls.
const BACK = "ds-grid-back";

export default {
  template: `<div class="ds-grid" role="region" :aria-label="label"></div>`,
  props: { source: String, label: String },
  mounted() {
    this.tiles = new Map();
    this.controller = null;
    this.onScroll = () => {
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    };
    this.onPop = () => {
      if (this.is_looking) {
        this.is_looking = false;
        document.dispatchEvent(new CustomEvent("ds-leave"));
        this.goTo(this.looked);
        return;
      }
      sessionStorage.setItem(BACK, "1");
      location.reload();
    };
    this.onHide = () => this.keep();
    this.onKeys = (event) => this.onAnyKey(event);
    this.onStep = (event) => this.look(this.looked + event.detail.by);
    window.addEventListener("scroll", this.onScroll, { passive: true });
    window.addEventListener("popstate", this.onPop);
    window.addEventListener("pagehide", this.onHide);
    document.addEventListener("keydown", this.onKeys);
    document.addEventListener("ds-step", this.onStep);
    this.chosen = new Set();
    this.$el.classList.toggle("filled", localStorage.getItem("ds-filled") === "1");
    this.resizer = new ResizeObserver(() => this.layOut());
    this.resizer.observe(this.$el);
    this.$el.addEventListener("keydown", (event) => this.onKey(event));
    this.$el.addEventListener("click", (event) => this.onClick(event));
    this.$el.addEventListener("dragstart", (event) => event.preventDefault());
    this.$el.addEventListener("pointerdown", (event) => this.onPress(event));
    this.restart();
    this.comeBack();
  },
  beforeUnmount() {
    window.removeEventListener("scroll", this.onScroll);
    window.removeEventListener("popstate", this.onPop);
    window.removeEventListener("pagehide", this.onHide);
    document.removeEventListener("keydown", this.onKeys);
    document.removeEventListener("ds-step", this.onStep);
    this.resizer.disconnect();
    this.controller?.abort();
  },
  watch: {
    source() {
      this.restart();
    },
  },
  methods: {
    restart() {
      this.controller?.abort();
      this.controller = new AbortController();
      this.nodes = [];
      this.next = null;
      this.done = false;
      this.loading = false;
      this.problem = "";
      this.active = 0;
      this.choose([]);
      this.$el.replaceChildren();
      this.tiles.clear();
      this.note = document.createElement("p");
      this.note.className = "ds-end";
      this.note.setAttribute("role", "status");
      this.$el.append(this.note);
      this.layOut();
    },
    async load() {
      if (this.loading || this.done || !this.source) return;
      this.loading = true;
      const { signal } = this.controller;
      try {
        const separator = this.source.includes("?") ? "&" : "?";
        const cursor = this.next === null ? "" : `${separator}cursor=${this.next}`;
        const response = await fetch(this.source + cursor, { signal, headers: { accept: "application/json" } });
        const answer = await response.json();
        if (answer.problems?.length) {
          this.problem = answer.problems.join("\n");
          this.done = true;
        } else {
          this.nodes.push(...answer.nodes);
          this.next = answer.next;
          this.done = answer.next === null;
        }
      } catch (error) {
        if (error.name === "AbortError") return;
        this.problem = "The list could not be loaded. Scroll to try again.";
        setTimeout(() => (this.problem = ""), 3000);
      }
      this.loading = false;
      this.layOut();
    },
    layOut() {
      const width = this.$el.clientWidth;
      if (!width) return;
      this.columns = Math.max(2, Math.floor((width + GAP_PX) / (TILE_MIN_PX + GAP_PX)));
      this.tileWidth = Math.floor((width - GAP_PX * (this.columns - 1)) / this.columns);
      this.rowHeight = Math.round(this.tileWidth * 0.8) + CAPTION_PX + GAP_PX;
      for (const [place, tile] of this.tiles) this.put(tile, place);
      this.draw();
    },
    draw() {
      const rows = Math.ceil(this.nodes.length / this.columns);
      const height = rows * this.rowHeight;
      this.$el.style.height = `${height + 56}px`;
      this.note.style.cssText = `position:absolute;left:0;right:0;top:${height}px`;
      this.note.textContent = this.problem || (this.done ? (this.nodes.length ? "" : "Nothing is here.") : "Loading…");
      const top = -this.$el.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / this.rowHeight) - ROWS_BEYOND) * this.columns;
      const last = Math.min(
        this.nodes.length,
        (Math.ceil((top + window.innerHeight) / this.rowHeight) + ROWS_BEYOND) * this.columns,
      );
      for (const [place, tile] of this.tiles) {
        if ((place < first || place >= last) && tile !== document.activeElement) {
          tile.remove();
          this.tiles.delete(place);
        }
      }
      for (let place = first; place < last; place++) {
        if (!this.tiles.has(place)) {
          const tile = this.make(this.nodes[place], place);
          this.tiles.set(place, tile);
          this.$el.append(tile);
        }
      }
      if (!this.done && top + window.innerHeight * 2.5 > height) this.load();
    },
    make(node, place) {
      const tile = document.createElement("a");
      tile.className = "ds-tile";
      tile.href = `/node/${node.id}`;
      tile.tabIndex = place === this.active ? 0 : -1;
      tile.dataset.place = place;
      const picture = document.createElement("div");
      picture.className = "ds-picture";
      if (node.picture) {
        const image = document.createElement("img");
        image.loading = "lazy";
        image.decoding = "async";
        image.alt = "";
        image.src = node.picture;
        picture.append(image);
      } else {
        const symbol = this.words("ds-symbol", node.extension || "");
        symbol.dataset.kind = node.kind;
        picture.append(symbol, this.words("ds-kind", node.called));
      }
      if (node.mark) picture.append(this.words("ds-mark", node.mark));
      const tick = this.words("ds-tick", "");
      tick.title = "Choose (shift: all between, Ctrl-A: all)";
      picture.append(tick);
      this.mark(tile, node);
      tile.append(picture, this.words("ds-title", node.title), this.words("ds-facts", node.facts));
      tile.title = node.title;
      this.put(tile, place);
      return tile;
    },
    words(name, content) {
      const element = document.createElement("span");
      element.className = name;
      element.textContent = content;
      return element;
    },
    put(tile, place) {
      const row = Math.floor(place / this.columns);
      const column = place % this.columns;
      tile.style.width = `${this.tileWidth}px`;
      tile.style.height = `${this.rowHeight - GAP_PX}px`;
      tile.style.transform = `translate(${column * (this.tileWidth + GAP_PX)}px, ${row * this.rowHeight}px)`;
    },
    // ---- Choosing ------------------------------------------------------------------------------

    choose(ids, all = false) {
      if (!all && !this.all && !ids.length && !this.chosen.size) return;
      this.all = all;
      this.chosen = new Set(ids.slice(0, CHOSEN_MAX));
      if (!this.chosen.size) this.anchor = null;
      for (const [place, tile] of this.tiles) this.mark(tile, this.nodes[place]);
      this.$el.classList.toggle("choosing", all || this.chosen.size > 0);
      this.$emit("choose", { all, ids: [...this.chosen] });
    },
    chooseAll() {
      this.choose([], true);
    },
    clear() {
      this.choose([]);
    },
    mark(tile, node) {
      const is_on = this.all || this.chosen.has(node?.id);
      tile.classList.toggle("chosen", is_on);
      const tick = tile.querySelector(".ds-tick");
      if (tick) tick.textContent = is_on ? "chosen" : "";
    },
    toggle(place) {
      const ids = this.all ? new Set(this.nodes.map((node) => node.id)) : new Set(this.chosen);
      const { id } = this.nodes[place];
      if (!ids.delete(id)) ids.add(id);
      this.anchor = place;
      this.choose([...ids]);
    },
    chooseUpTo(place) {
      const from = this.anchor ?? place;
      const between = this.nodes.slice(Math.min(from, place), Math.max(from, place) + 1);
      this.anchor = from;
      this.choose([...this.chosen, ...between.map((node) => node.id)]);
    },
    onClick(event) {
      const tile = event.target.closest?.(".ds-tile");
      if (!tile || event.button) return;
      if (this.dragged) {
        event.preventDefault(); // It ended a drag.
        return;
      }
      const place = Number(tile.dataset.place);
      const is_choosing = this.all || this.chosen.size > 0;
      if (event.shiftKey) this.chooseUpTo(place);
      else if (event.ctrlKey || event.metaKey || is_choosing || event.target.closest(".ds-tick")) this.toggle(place);
      else if (this.nodes[place].picture) this.look(place);
      else return;
      event.preventDefault();
    },
    // ---- Choosing by dragging ------------------------------------------------------------------

    onPress(event) {
      this.dragged = false;
      if (event.button || event.pointerType !== "mouse" || this.all) return;
      const adds = event.shiftKey || event.ctrlKey || event.metaKey;
      const drag = { from: this.point(event), before: adds ? [...this.chosen] : [], last: event, band: null };
      const controller = new AbortController();
      const { signal } = controller;
      window.addEventListener("pointermove", (moved) => this.onDrag(drag, moved), { signal });
      window.addEventListener("scroll", () => this.onDrag(drag, drag.last), { signal, passive: true });
      for (const name of ["pointerup", "pointercancel", "blur"]) {
        window.addEventListener(name, () => this.onDrop(drag, controller), { signal });
      }
    },
    point(event) {
      const area = this.$el.getBoundingClientRect();
      return [event.clientX - area.left, event.clientY - area.top];
    },
    onDrag(drag, event) {
      drag.last = event;
      const [x, y] = this.point(event);
      const [left, right] = [drag.from[0], x].sort((a, b) => a - b);
      const [top, bottom] = [drag.from[1], y].sort((a, b) => a - b);
      if (!drag.band) {
        if (Math.max(right - left, bottom - top) < DRAG_MIN_PX) return;
        this.dragged = true;
        drag.band = document.createElement("div");
        drag.band.className = "ds-band";
        this.$el.append(drag.band);
      }
      drag.band.style.cssText = `left:${left}px;top:${top}px;width:${right - left}px;height:${bottom - top}px`;
      this.choose([...new Set([...drag.before, ...this.within(left, top, right, bottom)])]);
      if (event.clientY > window.innerHeight - EDGE_PX) window.scrollBy(0, EDGE_PX / 2);
      else if (event.clientY < EDGE_PX) window.scrollBy(0, -EDGE_PX / 2);
    },
    onDrop(drag, controller) {
      controller.abort();
      drag.band?.remove();
    },
    // What lies in a rectangle, also where no tile is made now.
    within(left, top, right, bottom) {
      const width = this.tileWidth + GAP_PX;
      const found = [];
      const rows = Math.min(Math.ceil(this.nodes.length / this.columns), Math.ceil(bottom / this.rowHeight));
      for (let row = Math.max(0, Math.floor((top + GAP_PX) / this.rowHeight)); row < rows; row++) {
        for (let column = Math.max(0, Math.floor((left + GAP_PX) / width)); column < this.columns; column++) {
          const node = this.nodes[row * this.columns + column];
          if (node && column * width < right) found.push(node.id);
        }
      }
      return found;
    },
    // ---- Looking -------------------------------------------------------------------------------

    look(place) {
      const node = this.nodes[place];
      if (!node) return;
      this.looked = place;
      if (!this.is_looking) this.address = location.href;
      this.is_looking = true;
      if (place + this.columns * ROWS_BEYOND >= this.nodes.length) this.load();
      const detail = { node, place, total: this.nodes.length, done: this.done };
      document.dispatchEvent(new CustomEvent("ds-look", { detail }));
    },
    onAnyKey(event) {
      if (event.target.closest?.("input, textarea, select, [contenteditable], .q-dialog, dialog")) return;
      if (event.key === "Escape") this.clear();
      else if ((event.ctrlKey || event.metaKey) && event.key === "a" && this.nodes.length) {
        event.preventDefault();
        if (this.nodes.length > CHOSEN_MAX) this.chooseAll();
        else this.choose(this.nodes.map((node) => node.id));
      }
    },
    toggleFilled() {
      const is_filled = this.$el.classList.toggle("filled");
      localStorage.setItem("ds-filled", is_filled ? "1" : "0");
    },
    // ---- Coming back ---------------------------------------------------------------------------

    keep() {
      try {
        const nodes = this.nodes.slice(0, KEPT_NODES_MAX);
        const is_all = nodes.length === this.nodes.length;
        const next = is_all ? this.next : (nodes.at(-1)?.id ?? null);
        const address = this.is_looking ? this.address : location.href;
        const kept = { nodes, next, done: is_all && this.done && !this.problem, top: this.$el.getBoundingClientRect().top };
        sessionStorage.setItem("ds-grid", JSON.stringify({ address, ...kept }));
      } catch {
        sessionStorage.removeItem("ds-grid"); // There is no room; then it begins at the top.
      }
    },
    comeBack() {
      const is_back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
      const was_popped = sessionStorage.getItem(BACK) !== null;
      sessionStorage.removeItem(BACK);
      const kept = JSON.parse(sessionStorage.getItem("ds-grid") ?? "null");
      if (!(is_back || was_popped) || kept?.address !== location.href || !kept.nodes.length) return;
      // The browser's own place may be that of the node's page, which had this entry of the history.
      history.scrollRestoration = "manual";
      this.controller.abort();
      this.controller = new AbortController();
      Object.assign(this, { nodes: kept.nodes, next: kept.next, done: kept.done, loading: false });
      this.layOut();
      // From the grid's top: what stands above it may come later.
      window.scrollBy(0, this.$el.getBoundingClientRect().top - kept.top);
    },
    onKey(event) {
      if (event.key === " " && event.target?.dataset?.place) {
        event.preventDefault();
        this.toggle(Number(event.target.dataset.place));
        return;
      }
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns };
      const step = steps[event.key];
      const from = Number(event.target?.dataset?.place);
      if (!step || Number.isNaN(from)) return;
      const to = from + step;
      if (to < 0 || to >= this.nodes.length) return;
      event.preventDefault();
      this.goTo(to);
    },
    // Give a tile the keys, and bring it into sight.
    goTo(to) {
      if (!this.nodes[to]) return;
      this.tiles.get(this.active)?.setAttribute("tabindex", "-1");
      this.active = to;
      if (!this.tiles.has(to)) {
        const tile = this.make(this.nodes[to], to);
        this.tiles.set(to, tile);
        this.$el.append(tile);
      }
      const tile = this.tiles.get(to);
      tile.tabIndex = 0;
      tile.focus({ preventScroll: true });
      tile.scrollIntoView({ block: "nearest" });
    },
  },
};
