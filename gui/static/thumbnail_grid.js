// The explorer's grid: it owns which tiles exist at a time, out of as many nodes as there are.
// Pages come by cursor, tiles only for what is in sight. Every text is set as text.
const GAP_PX = 12;
const TILE_MIN_PX = 168;
const CAPTION_PX = 48;
const ROWS_BEYOND = 3;
const KINDS = { sound: "Sound", text: "Text", none: "Description" };

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
    this.onPop = () => location.reload();
    window.addEventListener("scroll", this.onScroll, { passive: true });
    window.addEventListener("popstate", this.onPop);
    this.resizer = new ResizeObserver(() => this.layOut());
    this.resizer.observe(this.$el);
    this.$el.addEventListener("keydown", (event) => this.onKey(event));
    this.restart();
  },
  beforeUnmount() {
    window.removeEventListener("scroll", this.onScroll);
    window.removeEventListener("popstate", this.onPop);
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
      this.note.textContent = this.problem || (this.done ? (this.nodes.length ? "" : "Nothing fits these filters.") : "Loading…");
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
        picture.append(this.words("ds-kind", KINDS[node.kind] ?? node.kind));
      }
      if (node.mark) picture.append(this.words("ds-mark", node.mark));
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
    onKey(event) {
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns };
      const step = steps[event.key];
      const from = Number(event.target?.dataset?.place);
      if (!step || Number.isNaN(from)) return;
      const to = from + step;
      if (to < 0 || to >= this.nodes.length) return;
      event.preventDefault();
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
