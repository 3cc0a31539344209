// The way from a node to those beside it in the grid that it was opened from: links, and arrow keys.
// The grid leaves what it showed in the session's storage; without that there is nothing to see.
const BACK = "ds-grid-back";

export default {
  template: `<nav v-if="list" class="neighbours" aria-label="Beside it in the list">
    <a v-if="before" class="button small" :href="address(before)" title="Arrow left">Previous</a>
    <span class="hint">{{ place + 1 }} of {{ list.nodes.length }}{{ list.done ? "" : " and more" }}</span>
    <a v-if="after" class="button small" :href="address(after)" title="Arrow right">Next</a>
    <a class="button small quiet" :href="list.address" @click="leave" title="Escape">Back to the list</a>
  </nav>`,
  props: { node: Number },
  data: () => ({ list: null, place: -1 }),
  computed: {
    before() {
      return this.list.nodes[this.place - 1];
    },
    after() {
      return this.list.nodes[this.place + 1];
    },
  },
  mounted() {
    const kept = JSON.parse(sessionStorage.getItem("ds-grid") ?? "null");
    this.place = kept?.nodes?.findIndex((one) => one.id === this.node) ?? -1;
    if (this.place >= 0) this.list = kept;
    this.onKeys = (event) => this.onKey(event);
    this.onPop = () => {
      // It was opened over the grid, and this page loaded anew since: the address alone went back.
      sessionStorage.setItem(BACK, "1");
      location.reload();
    };
    document.addEventListener("keydown", this.onKeys);
    window.addEventListener("popstate", this.onPop);
  },
  beforeUnmount() {
    document.removeEventListener("keydown", this.onKeys);
    window.removeEventListener("popstate", this.onPop);
  },
  methods: {
    address: (node) => `/node/${node.id}`,
    leave() {
      sessionStorage.setItem(BACK, "1");
    },
    onKey(event) {
      if (!this.list || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable], .q-dialog, dialog")) return;
      const to = { ArrowLeft: this.before, ArrowRight: this.after }[event.key];
      if (to) {
        event.preventDefault();
        location.replace(this.address(to)); // Back leads to the list, however far one went.
      } else if (event.key === "Escape") {
        this.leave();
        location.href = this.list.address;
      }
    },
  },
};
