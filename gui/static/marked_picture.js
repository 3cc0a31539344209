// A picture with what is marked on it: boxes, polygons, masks and key points, in layers by who said
// so. Places are pixels of the original as it is stored; the picture in sight may be smaller and turned.
// It can be looked at from nearer: by buttons, + and -, Ctrl and the wheel; then it is dragged about.
import { TO_SHOWN, hue } from "/static/label_boxes.js";

const SVG = "http://www.w3.org/2000/svg";
const MASK_PIXELS_MAX = 1 << 24;
const ZOOM_STEP = 1.5;
const ZOOM_MAX = 12;
const LARGE_EDGE_PX = 1280; // What is as long as this was made smaller: from nearer there may be more.

export default {
  template: `<div class="stack">
    <div ref="frame" class="zoom-frame" :class="{ near: zoom > 1 }" :tabindex="zoom > 1 ? 0 : undefined" :role="zoom > 1 ? 'region' : undefined"
      :aria-label="zoom > 1 ? alt : undefined" @wheel="onWheel" @pointerdown="onGrab">
      <div class="marked" :style="zoom > 1 ? { width: fitted * zoom + 'px' } : {}"><img ref="picture" class="preview" :src="picture" :alt="alt" draggable="false" /><div ref="marks" class="marks" aria-hidden="true"></div></div>
    </div>
    <div class="row" role="group" aria-label="Zoom">
      <button type="button" class="button small" title="Nearer (+)" @click="by(1)">Nearer</button>
      <button type="button" class="button small" title="Farther (-)" :disabled="zoom <= 1" @click="by(-1)">Farther</button>
      <button type="button" class="button small quiet" title="All of it (0)" :disabled="zoom <= 1" @click="zoomTo(1)">{{ Math.round(zoom * 100) }} %</button>
    </div>
    <div v-if="layers.length" class="row" role="group" aria-label="What is marked">
      <button v-for="layer in layers" type="button" class="button small" :class="{ on: !hidden.has(layer) }"
        :aria-pressed="String(!hidden.has(layer))" @click="toggle(layer)">{{ layer }} ({{ count(layer) }})</button>
    </div>
  </div>`,
  props: { source: String, alt: String, shapes: Array },
  data: () => ({ hidden: new Set(), original: null, zoom: 1, fitted: 0, is_near: false }),
  computed: {
    picture() {
      return this.is_near ? this.source.replace("size=large", "size=full") : this.source;
    },
    layers() {
      return [...new Set(this.shapes.map((shape) => shape.layer))];
    },
  },
  beforeUnmount() {
    document.removeEventListener("keydown", this.onKeys);
  },
  async mounted() {
    this.onKeys = (event) => this.onKey(event);
    document.addEventListener("keydown", this.onKeys);
    if (!this.shapes.length) return;
    const response = await fetch(this.source); // As the picture itself: it is asked for once.
    const [width, height, orientation] = (response.headers.get("x-drystone-source") ?? "").split(" ").map(Number);
    if (width && height) this.original = { width, height, orientation };
    this.draw();
  },
  methods: {
    // ---- Zoom ----------------------------------------------------------------------------------

    by(steps, point) {
      this.zoomTo(this.zoom * ZOOM_STEP ** steps, point);
    },
    // What lies at a point of the frame, its middle at first, stays there.
    async zoomTo(zoom, [x, y] = [this.$refs.frame.clientWidth / 2, this.$refs.frame.clientHeight / 2]) {
      const { frame, picture } = this.$refs;
      const wanted = Math.min(ZOOM_MAX, Math.max(1, zoom));
      if (this.zoom === 1) this.fitted = picture.clientWidth;
      if (!this.fitted || wanted === this.zoom) return;
      if (Math.max(picture.naturalWidth, picture.naturalHeight) >= LARGE_EDGE_PX) this.is_near = true;
      const share = wanted / this.zoom;
      const [left, top] = [(frame.scrollLeft + x) * share - x, (frame.scrollTop + y) * share - y];
      this.zoom = wanted < 1.01 ? 1 : wanted;
      await this.$nextTick();
      frame.scrollTo(left, top);
    },
    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable], .q-dialog")) return;
      if (event.key === "+") this.by(1);
      else if (event.key === "-") this.by(-1);
      else if (event.key === "0") this.zoomTo(1);
    },
    onWheel(event) {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const area = this.$refs.frame.getBoundingClientRect();
      this.by(event.deltaY < 0 ? 1 : -1, [event.clientX - area.left, event.clientY - area.top]);
    },
    onGrab(event) {
      if (this.zoom === 1 || event.button || event.pointerType !== "mouse") return;
      const { frame } = this.$refs;
      const controller = new AbortController();
      const { signal } = controller;
      window.addEventListener("pointermove", (moved) => frame.scrollBy(-moved.movementX, -moved.movementY), { signal });
      window.addEventListener("pointerup", () => controller.abort(), { signal });
    },
    // ---- Layers --------------------------------------------------------------------------------

    count(layer) {
      return this.shapes.filter((shape) => shape.layer === layer).length;
    },
    toggle(layer) {
      if (!this.hidden.delete(layer)) this.hidden.add(layer);
      this.draw();
    },
    shown(x, y) {
      const { width, height, orientation } = this.original;
      return (TO_SHOWN[orientation] ?? TO_SHOWN[1])(x / width, y / height);
    },
    pairs(numbers, step) {
      const found = [];
      for (let at = 0; at + 1 < numbers.length; at += step) found.push(this.shown(numbers[at], numbers[at + 1]));
      return found;
    },
    draw() {
      const drawing = document.createElementNS(SVG, "svg");
      drawing.setAttribute("viewBox", "0 0 1 1");
      drawing.setAttribute("preserveAspectRatio", "none");
      this.$refs.marks.replaceChildren(drawing);
      if (!this.original) return;
      const names = [...new Set(this.shapes.map((shape) => shape.label))];
      for (const shape of this.shapes) {
        if (this.hidden.has(shape.layer)) continue;
        const colour = `hsl(${hue(names.indexOf(shape.label))} 85% 52%)`;
        const rings = (shape.rings ?? []).map((ring) => this.pairs(ring, 2));
        for (const ring of rings) this.outline(drawing, ring, colour);
        for (const point of this.pairs((shape.points ?? []).flat(), 2)) this.dot(point, colour);
        if (shape.mask) this.fill(shape.mask, colour);
        const corners = rings.length ? rings.flat() : this.pairs((shape.points ?? []).flat(), 2);
        if (corners.length && shape.label) this.name(shape.label, corners, colour);
      }
    },
    outline(drawing, ring, colour) {
      const element = document.createElementNS(SVG, "polygon");
      element.setAttribute("points", ring.map((point) => point.join(",")).join(" "));
      element.style.stroke = colour;
      drawing.append(element);
    },
    dot([u, v], colour) {
      const element = document.createElement("i");
      element.style.cssText = `left:${u * 100}%;top:${v * 100}%;background:${colour}`;
      this.$refs.marks.append(element);
    },
    name(label, corners, colour) {
      const element = document.createElement("span");
      element.textContent = label;
      const left = Math.min(...corners.map(([u]) => u));
      const top = Math.min(...corners.map(([, v]) => v));
      element.style.cssText = `left:${left * 100}%;top:${top * 100}%;background:${colour}`;
      this.$refs.marks.append(element);
    },
    // Runs go down each column; a picture that is turned for the eye is left without its masks.
    fill({ width, height, runs }, colour) {
      if (this.original.orientation > 1 || width * height > MASK_PIXELS_MAX) return;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d");
      context.fillStyle = colour;
      let place = 0;
      runs.forEach((length, number) => {
        for (let left = length; number % 2 && left > 0; ) {
          const at = place + length - left;
          const part = Math.min(left, height - (at % height));
          context.fillRect(Math.floor(at / height), at % height, 1, part);
          left -= part;
        }
        place += length;
      });
      this.$refs.marks.append(canvas);
    },
  },
};
