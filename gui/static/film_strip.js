// What lies along a film or a sound, under the player that stands beside it: a line for each layer with its
// segments, and key frames as pictures. A press seeks the player there; a mark goes with it.
import { hue } from "/static/label_boxes.js";

const WIDTH_LEAST = 0.4; // In percent: what is shorter can still be pressed.

const clock = (seconds) => {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
};

export default {
  template: `<div v-if="moments.length" class="film-strip" role="group" aria-label="Along the time">
    <div v-for="layer in layers" class="film-layer">
      <span class="hint">{{ layer }}</span>
      <div class="film-track">
        <button v-for="one in of(layer)" type="button" class="film-segment" :title="words(one)" :aria-label="words(one)" :style="place(one)"
          @click="seek(one.start)">{{ one.label }}</button>
        <i class="film-now" :style="{ left: share(now) + '%' }"></i>
      </div>
    </div>
    <div v-if="frames.length" class="film-frames" tabindex="0" role="region" aria-label="Key frames">
      <button v-for="one in frames" type="button" class="film-frame" :class="{ on: one === current }" :aria-label="'Key frame at ' + clock(one.start)" @click="seek(one.start)">
        <img v-if="one.picture" :src="one.picture" alt="" loading="lazy" /><span>{{ clock(one.start) }}</span>
      </button>
    </div>
  </div>`,
  props: { moments: Array, duration: Number },
  data: () => ({ now: 0, told: 0 }),
  computed: {
    frames() {
      return this.moments.filter((one) => one.end === null);
    },
    segments() {
      return this.moments.filter((one) => one.end !== null);
    },
    layers() {
      return [...new Set(this.segments.map((one) => one.layer))];
    },
    names() {
      return [...new Set(this.segments.map((one) => one.label || one.layer))];
    },
    // What the player says of the length, once it knows it.
    whole() {
      return this.told || this.duration || 1;
    },
    current() {
      return this.frames.findLast((one) => one.start <= this.now);
    },
  },
  mounted() {
    this.player = this.$el.parentElement?.querySelector("video, audio");
    this.onTime = () => (this.now = this.player.currentTime);
    this.onLength = () => (this.told = Number.isFinite(this.player.duration) ? this.player.duration : 0);
    for (const name of ["timeupdate", "seeking"]) this.player?.addEventListener(name, this.onTime);
    this.player?.addEventListener("loadedmetadata", this.onLength);
  },
  beforeUnmount() {
    for (const name of ["timeupdate", "seeking"]) this.player?.removeEventListener(name, this.onTime);
    this.player?.removeEventListener("loadedmetadata", this.onLength);
  },
  methods: {
    clock,
    of(layer) {
      return this.segments.filter((one) => one.layer === layer);
    },
    share(seconds) {
      return Math.min(100, (100 * seconds) / this.whole);
    },
    place(one) {
      const width = Math.max(WIDTH_LEAST, this.share(one.end) - this.share(one.start));
      return { left: `${Math.min(100 - width, this.share(one.start))}%`, width: `${width}%`, "--hue": hue(this.names.indexOf(one.label || one.layer)) };
    },
    words(one) {
      return `${one.label ? `${one.label}, ` : ""}${clock(one.start)} to ${clock(one.end)}`;
    },
    seek(seconds) {
      const player = this.player;
      if (!player) return;
      const go = () => (player.currentTime = seconds);
      if (player.readyState) {
        go();
        return;
      }
      // It was not fetched yet: nothing is, until somebody plays or seeks.
      player.addEventListener("loadedmetadata", go, { once: true });
      player.preload = "metadata";
      player.load();
    },
  },
};
