// A node over the grid: its picture with what is marked on it, what is said of it, and the way to the
// nodes beside it. The address is that of the node's page meanwhile, so that it can be sent to somebody
// and Back closes it. The grid tells which node by `ds-look` and when to close by `ds-leave`; it is asked for
// another node by `ds-step`.
import FilmStrip from "/static/film_strip.js";
import MarkedPicture from "/static/marked_picture.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export default {
  components: { FilmStrip, MarkedPicture },
  template: `<dialog class="look" aria-label="A node" @cancel.prevent="leave" @close="closed" @click.self="leave">
    <div v-if="shown" class="look-inside">
      <div class="look-head">
        <h2>{{ shown.title }}</h2>
        <button type="button" class="button small" title="Escape" @click="leave">Close</button>
      </div>
      <p v-if="problem" role="alert">{{ problem }}</p>
      <video v-if="about?.media && about.kind === 'video' && !about.shapes.length" class="preview" controls preload="none" :poster="about.picture" :src="about.media"></video>
      <marked-picture v-else-if="about" :key="shown.id" :source="about.picture" :alt="shown.title" :shapes="about.shapes"></marked-picture>
      <audio v-if="about?.media && about.kind === 'sound'" controls preload="none" :src="about.media"></audio>
      <film-strip v-if="about?.media" :key="'strip' + shown.id" :moments="about.moments" :duration="about.duration"></film-strip>
      <dl v-if="about" class="pairs look-facts">
        <template v-for="[name, value] in about.facts"><dt>{{ name }}</dt><dd>{{ value }}</dd></template>
      </dl>
      <div class="row">
        <button type="button" class="button small" title="Arrow left" :disabled="!place" @click="step(-1)">Previous</button>
        <span class="hint" role="status">{{ place + 1 }} of {{ total }}{{ done ? "" : " and more" }}</span>
        <button type="button" class="button small" title="Arrow right" :disabled="done && place + 1 >= total" @click="step(1)">Next</button>
        <a class="button small" :href="'/node/' + shown.id">All about it</a>
        <a v-if="about" class="button small quiet" :href="about.content">Download</a>
      </div>
    </div>
  </dialog>`,
  data: () => ({ shown: null, about: null, problem: "", place: 0, total: 0, done: false }),
  mounted() {
    this.onLook = (event) => this.look(event.detail);
    this.onLeave = () => this.close();
    document.addEventListener("ds-look", this.onLook);
    document.addEventListener("ds-leave", this.onLeave);
    // Of the document: what had the keys may be gone with the node before.
    this.onKeys = (event) => this.onKey(event);
    document.addEventListener("keydown", this.onKeys);
  },
  beforeUnmount() {
    document.removeEventListener("ds-look", this.onLook);
    document.removeEventListener("ds-leave", this.onLeave);
    document.removeEventListener("keydown", this.onKeys);
  },
  methods: {
    async look({ node, place, total, done }) {
      const is_open = this.shown !== null;
      Object.assign(this, { shown: node, about: null, problem: "", place, total, done });
      const address = `/node/${node.id}`;
      if (is_open) history.replaceState(history.state, "", address);
      else {
        history.pushState({ look: true }, "", address);
        this.$el.showModal();
      }
      try {
        const response = await fetch(`/explorer/look/${node.id}`);
        const about = await response.json();
        if (this.shown?.id !== node.id) return; // Somebody went on meanwhile.
        if (response.ok) this.about = about;
        else this.problem = about.problem ?? about.detail ?? "It cannot be shown.";
      } catch {
        if (this.shown?.id === node.id) this.problem = "It could not be loaded. Try the next one, or this one again.";
      }
    },
    leave() {
      if (this.shown) history.back();
    },
    // A browser may close it by itself: then the address follows.
    closed() {
      if (this.shown) history.back();
    },
    close() {
      this.shown = null;
      this.$el.close();
    },
    step(by) {
      document.dispatchEvent(new CustomEvent("ds-step", { detail: { by } }));
    },
    onKey(event) {
      const by = STEPS[event.key];
      if (!this.shown || !by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.step(by);
    },
  },
};
