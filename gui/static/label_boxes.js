// Boxes on a picture: it owns drawing, moving and choosing them with mouse, finger or keys, and the
// way from the picture in sight to the pixels of the original. It knows no server and no class
// names' meaning; every text is set as text.

const CLICK_PX = 5;
const SIDE_MIN_PX = 4;
const STEP = 1 / 200;
const UNDO_MAX = 200;
const CORNERS = ["nw", "ne", "sw", "se"];

// What EXIF says of how the original is turned, as ways between shares of the picture in sight
// (u, v) and of the original as it is stored (x, y).
const TO_STORED = {
  1: (u, v) => [u, v],
  2: (u, v) => [1 - u, v],
  3: (u, v) => [1 - u, 1 - v],
  4: (u, v) => [u, 1 - v],
  5: (u, v) => [v, u],
  6: (u, v) => [v, 1 - u],
  7: (u, v) => [1 - v, 1 - u],
  8: (u, v) => [1 - v, u],
};
export const TO_SHOWN = { ...TO_STORED, 6: TO_STORED[8], 8: TO_STORED[6] };

const between = (value, least, most) => Math.min(most, Math.max(least, value));
const spanned = ([a, b], [c, d]) => ({ x: Math.min(a, c), y: Math.min(b, d), width: Math.abs(a - c), height: Math.abs(b - d) });
const corners = (box) => [[box.x, box.y], [box.x + box.width, box.y + box.height]];

export class BoxBoard {
  // `classes` are the names; `changed` is called after every change; `tell` says it to who listens.
  constructor(classes, changed) {
    this.classes = classes;
    this.changed = changed;
    this.active = 0;
    this.element = document.createElement("div");
    this.element.className = "label-board";
    this.element.addEventListener("pointerdown", (event) => this.down(event));
    this.element.addEventListener("pointermove", (event) => this.move(event));
    this.element.addEventListener("pointerup", (event) => this.up(event));
    this.element.addEventListener("pointercancel", () => this.drop());
    this.load(null, []);
  }

  // `source` has width, height and orientation of the original; null when nothing can be marked.
  load(source, boxes) {
    this.source = source;
    this.chosen = -1;
    this.past = [];
    this.drag = null;
    this.boxes = source ? boxes.map((box) => this.shown(box)).filter((box) => box.label >= 0) : [];
    this.draw();
  }

  // ---- Pixels of the original ------------------------------------------------------------------

  shown(box) {
    const { width, height, orientation } = this.source;
    const [a, b] = corners(box).map(([x, y]) => TO_SHOWN[orientation](x / width, y / height));
    return { ...spanned(a, b), label: this.classes.indexOf(box.label) };
  }

  answer() {
    const { width, height, orientation } = this.source;
    const round = (value) => Math.round(value * 1000) / 1000;
    return this.boxes.map((box) => {
      const [a, b] = corners(box).map(([u, v]) => TO_STORED[orientation](u, v));
      const stored = spanned(a, b);
      return {
        label: this.classes[box.label],
        x: round(stored.x * width),
        y: round(stored.y * height),
        width: round(stored.width * width),
        height: round(stored.height * height),
      };
    });
  }

  // ---- Changing --------------------------------------------------------------------------------

  keep() {
    this.past.push(this.boxes.map((box) => ({ ...box })));
    if (this.past.length > UNDO_MAX) this.past.shift();
  }

  undo() {
    if (!this.past.length) return false;
    this.boxes = this.past.pop();
    this.chosen = -1;
    this.draw();
    return true;
  }

  use(label) {
    this.active = label;
    // After a box that was just drawn the class is for the next one.
    if (this.chosen >= 0 && !this.isDrawn && this.boxes[this.chosen].label !== label) {
      this.keep();
      this.boxes[this.chosen].label = label;
    }
    this.draw();
  }

  add(box) {
    if (!this.source) return;
    this.isDrawn = false;
    this.keep();
    this.boxes.push({ ...box, label: this.active });
    this.chosen = this.boxes.length - 1;
    this.draw();
  }

  remove() {
    if (this.chosen < 0) return;
    this.keep();
    this.boxes.splice(this.chosen, 1);
    this.chosen = Math.min(this.chosen, this.boxes.length - 1);
    this.draw();
  }

  choose(place) {
    this.isDrawn = false;
    this.chosen = this.boxes.length ? (place + this.boxes.length) % this.boxes.length : -1;
    if (this.chosen >= 0) this.active = this.boxes[this.chosen].label;
    this.draw();
  }

  // Moves the chosen box by steps, or with `sizing` its lower right corner.
  nudge(right, down, sizing) {
    if (this.chosen < 0) return;
    this.keep();
    const box = this.boxes[this.chosen];
    if (sizing) {
      box.width = between(box.width + right * STEP, STEP, 1 - box.x);
      box.height = between(box.height + down * STEP, STEP, 1 - box.y);
    } else {
      box.x = between(box.x + right * STEP, 0, 1 - box.width);
      box.y = between(box.y + down * STEP, 0, 1 - box.height);
    }
    this.draw();
  }

  // ---- Mouse and finger ------------------------------------------------------------------------

  point(event) {
    const area = this.element.getBoundingClientRect();
    return [between((event.clientX - area.left) / area.width, 0, 1), between((event.clientY - area.top) / area.height, 0, 1)];
  }

  at([u, v]) {
    let best = -1;
    this.boxes.forEach((box, place) => {
      const inside = u >= box.x && u <= box.x + box.width && v >= box.y && v <= box.y + box.height;
      const least = best < 0 || box.width * box.height < this.boxes[best].width * this.boxes[best].height;
      if (inside && least) best = place;
    });
    return best;
  }

  down(event) {
    if (!this.source || event.button !== 0 || this.drag) return;
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    const begin = this.point(event);
    const box = this.boxes[this.chosen];
    const corner = event.target.dataset?.corner;
    let kind = "draw";
    if (corner && box) kind = "size";
    else if (box && this.at(begin) === this.chosen) kind = "move";
    this.drag = { kind, begin, corner, pixel: [event.clientX, event.clientY], moved: false, before: box ? { ...box } : null };
  }

  move(event) {
    const drag = this.drag;
    if (!drag) return;
    const far = Math.hypot(event.clientX - drag.pixel[0], event.clientY - drag.pixel[1]);
    if (!drag.moved && far < CLICK_PX) return;
    if (!drag.moved) {
      drag.moved = true;
      this.keep();
      this.isDrawn = drag.kind === "draw";
      if (this.isDrawn) {
        this.boxes.push({ x: 0, y: 0, width: 0, height: 0, label: this.active });
        this.chosen = this.boxes.length - 1;
      }
    }
    const now = this.point(event);
    const box = this.boxes[this.chosen];
    const before = drag.before;
    if (drag.kind === "draw") {
      Object.assign(box, spanned(drag.begin, now));
    } else if (drag.kind === "move") {
      box.x = between(before.x + now[0] - drag.begin[0], 0, 1 - box.width);
      box.y = between(before.y + now[1] - drag.begin[1], 0, 1 - box.height);
    } else {
      const fixed = [
        drag.corner.includes("w") ? before.x + before.width : before.x,
        drag.corner.includes("n") ? before.y + before.height : before.y,
      ];
      Object.assign(box, spanned(fixed, now));
    }
    this.draw();
  }

  up(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) {
      const place = this.at(this.point(event));
      if (place < 0) this.chosen = -1;
      else this.choose(place);
      this.draw();
      return;
    }
    const area = this.element.getBoundingClientRect();
    const box = this.boxes[this.chosen];
    // A slip of the hand is no box.
    if (box.width * area.width < SIDE_MIN_PX || box.height * area.height < SIDE_MIN_PX) this.undo();
    this.draw();
  }

  drop() {
    if (this.drag?.moved) this.undo();
    this.drag = null;
  }

  // ---- Showing ---------------------------------------------------------------------------------

  draw() {
    const made = this.boxes.map((box, place) => {
      const element = document.createElement("div");
      element.className = place === this.chosen ? "label-box chosen" : "label-box";
      element.style.cssText = `left:${box.x * 100}%;top:${box.y * 100}%;width:${box.width * 100}%;height:${box.height * 100}%;--hue:${hue(box.label)}`;
      const name = document.createElement("span");
      name.className = "label-box-name";
      name.textContent = this.classes[box.label] ?? "";
      element.append(name);
      if (place === this.chosen) {
        for (const corner of CORNERS) {
          const handle = document.createElement("i");
          handle.className = `label-corner ${corner}`;
          handle.dataset.corner = corner;
          element.append(handle);
        }
      }
      return element;
    });
    this.element.replaceChildren(...made);
    this.element.classList.toggle("off", !this.source);
    this.changed();
  }
}

// Hues of neighbours are far apart, whatever their number.
export const hue = (place) => Math.round((place * 137.508 + 150) % 360);
