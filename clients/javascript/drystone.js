// A client of Drystone's HTTP API: every operation by its name, as the server describes it.
//
//   const drystone = new Drystone("http://server:8420", { token });
//   await drystone.call("node.tag", { name: "cat", view: "Cats" });
//   for await (const line of drystone.stream("job.report", { job_id })) { ... }
//   for await (const event of drystone.events({ type: ["batch.described"] })) { ... }
//
// Names, fields and answers are those of the server's docs/api.md, or of operations() here. A
// change carries a key, so that it is done once though its answer was lost and it was asked again.
// It needs fetch: any browser, Node 18 or later, Deno, Bun. A page of another origin is refused.

const DESCRIPTION = "/api/v1/openapi.json";
const KEY = "idempotency-key";
const METHODS = ["get", "post", "put", "patch", "delete"];
const TRIED_AGAIN = [429, 502, 503, 504];
const EVENTS = "text/event-stream";
// A server that tells events says something oftener than that.
const SILENCE_MS = 30_000;
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 30_000;

/** The server refused, or nobody answered (status 0); the message says what to do. */
export class ProblemError extends Error {
  constructor(status, document) {
    const problems = document.problems ?? [];
    super([document.detail ?? `the server answered ${status}`, ...problems].join("; "));
    this.name = "ProblemError";
    this.status = status;
    this.code = document.code ?? "";
    this.problems = problems;
    this.requestId = document.request_id ?? "";
  }
}

/** A server of Drystone, and the token that is shown to it; a page of its own needs none. */
export class Drystone {
  /** `tries` is how often one request is sent at most, `timeoutMs` how long each may take. */
  constructor(address = "", { token = "", tries = 5, timeoutMs = 60_000 } = {}) {
    this.address = address.replace(/\/+$/, "");
    this.token = token;
    this.tries = Math.max(1, tries);
    this.timeoutMs = timeoutMs;
    this.known = null;
  }

  /** Resolve to all operations by name, as the server describes them; read once. */
  async operations() {
    if (this.known === null) {
      const answer = await this.#send("GET", DESCRIPTION, { isRepeatable: true });
      this.known = operationsOf(await answer.json());
    }
    return this.known;
  }

  /**
   * Ask for an operation and resolve to its answer, a document. `requestKey` names a change whose answer
   * may have been lost before this program was begun again. Throws a ProblemError.
   */
  async call(name, fields = {}, { requestKey = "" } = {}) {
    const one = await this.#named(name);
    const { path, body } = placed(one, fields);
    const headers = one.takesKey ? { [KEY]: requestKey || crypto.randomUUID() } : {};
    const isRepeatable = one.method === "GET" || one.takesKey;
    const answer = await this.#send(one.method, path, { body, headers, isRepeatable });
    const text = await answer.text();
    return text === "" ? null : JSON.parse(text);
  }

  /** Yield the documents of an operation that answers with many, as they come. */
  async *stream(name, fields = {}) {
    const one = await this.#named(name);
    const { path, body } = placed(one, fields);
    const answer = await this.#fetch(one.method, path, { body });
    if (answer.status >= 400) throw await problemOf(answer);
    for await (const line of linesOf(answer)) {
      if (line === "") continue;
      const item = JSON.parse(line);
      if (item !== null && typeof item === "object" && "problem" in item) {
        throw new ProblemError(item.problem.status ?? 500, item.problem);
      }
      yield item;
    }
  }

  /**
   * Yield what happens, without an end; `type` and `subject` choose, as of event.list. `after` is the position
   * of the last event that was worked on; without it they begin now. A lost connection is made again, behind
   * the last event. Throws a ProblemError: events_gone where the feed keeps what comes next no longer.
   */
  async *events({ after, ...fields } = {}) {
    const one = await this.#named("event.list");
    const { path } = placed(one, fields);
    let last = after === undefined ? "" : `${after}`;
    for (let number = 1; ; number++) {
      const headers = { accept: EVENTS, ...(last === "" ? {} : { "last-event-id": last }) };
      const silence = new AbortController();
      try {
        const answer = await this.#fetch(one.method, path, { headers, signal: silence.signal });
        if (answer.status >= 400) throw await problemOf(answer);
        for await (const found of blocksOf(linesOf(answer, silence))) {
          const item = found.data === undefined ? undefined : JSON.parse(found.data);
          if (found.event === "problem") throw new ProblemError(item.status ?? 500, item);
          if (item !== undefined) yield item;
          last = found.id ?? last;
          number = 1;
        }
      } catch (error) {
        const isProblem = error instanceof ProblemError;
        if (isProblem && (!TRIED_AGAIN.includes(error.status) || number >= this.tries)) throw error;
        if (!isProblem && number >= this.tries) {
          const detail = `${this.address || "the server"} does not answer: ${error.message}`;
          throw new ProblemError(0, { code: "unreachable", detail });
        }
      }
      await pause(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** number) * (0.5 + Math.random() / 2));
    }
  }

  /** Wait until a job of the store has ended, and resolve to how. */
  async wait(job, everyMs = 1000) {
    const job_id = typeof job === "string" ? job : job.job_id;
    for (;;) {
      const found = await this.call("job.show", { job_id });
      if (!["queued", "running"].includes(found.state)) return found;
      await pause(everyMs);
    }
  }

  async #named(name) {
    const operations = await this.operations();
    const found = operations.get(name);
    if (found === undefined) {
      const group = name.split(".")[0];
      const near = [...operations.keys()].filter((one) => one.startsWith(`${group}.`));
      const detail = `no operation ${name}; has: ${(near.length ? near : [...operations.keys()]).sort().join(", ")}`;
      throw new ProblemError(0, { code: "unknown", detail });
    }
    return found;
  }

  async #send(method, path, { body, headers = {}, isRepeatable }) {
    const tries = isRepeatable ? this.tries : 1;
    for (let number = 1; ; number++) {
      let waitMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** number) * (0.5 + Math.random() / 2);
      try {
        const signal = AbortSignal.timeout(this.timeoutMs);
        const answer = await this.#fetch(method, path, { body, headers, signal });
        if (answer.status < 400) return answer;
        const problem = await problemOf(answer);
        if (!TRIED_AGAIN.includes(answer.status) || number === tries) throw problem;
        const asked = Number(answer.headers.get("retry-after"));
        if (asked > 0) waitMs = Math.min(PAUSE_MS_MAX, asked * 1000);
      } catch (error) {
        if (error instanceof ProblemError) throw error;
        if (number === tries) {
          const detail = `${this.address || "the server"} does not answer: ${error.message}`;
          throw new ProblemError(0, { code: "unreachable", detail });
        }
      }
      await pause(waitMs);
    }
  }

  #fetch(method, path, { body, headers = {}, signal } = {}) {
    const sent = { accept: "application/json", ...headers };
    if (this.token) sent.authorization = `Bearer ${this.token}`;
    if (body !== undefined) sent["content-type"] = "application/json";
    const content = body === undefined ? undefined : JSON.stringify(body);
    return fetch(this.address + path, { method, headers: sent, body: content, signal });
  }
}

/** Yield the lines of an answer as they come; nothing for SILENCE_MS aborts, where something can. */
async function* linesOf(answer, silence) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const timer = silence && setTimeout(() => silence.abort(), SILENCE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      yield* lines;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Yield server-sent events; each of their fields is one line here. */
async function* blocksOf(lines) {
  let found = {};
  for await (const line of lines) {
    if (line === "") {
      yield found;
      found = {};
    } else {
      const [name, ...value] = line.split(": ");
      found[name] = value.join(": ");
    }
  }
}

function operationsOf(document) {
  const found = new Map();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const entry = methods[method];
      if (entry?.operationId === undefined) continue;
      const named = (place) =>
        (entry.parameters ?? []).filter((one) => one.in === place).map((one) => one.name);
      found.set(entry.operationId, {
        name: entry.operationId,
        method: method.toUpperCase(),
        path,
        inPath: named("path"),
        inQuery: named("query"),
        hasBody: "requestBody" in entry,
        takesKey: named("header").some((name) => name.toLowerCase() === KEY),
        help: entry.description ?? "",
      });
    }
  }
  return found;
}

function placed(one, fields) {
  const rest = { ...fields };
  let path = one.path;
  for (const name of one.inPath) {
    if (rest[name] === undefined) {
      throw new ProblemError(0, { code: "wrong_request", detail: `${one.name} needs ${name}` });
    }
    path = path.replace(`{${name}}`, () => encodeURIComponent(rest[name]));
    delete rest[name];
  }
  const query = new URLSearchParams();
  // What the operation does not know goes along: the server says so.
  for (const name of one.hasBody ? one.inQuery : Object.keys(rest)) {
    for (const value of [rest[name] ?? []].flat()) query.append(name, value);
    delete rest[name];
  }
  return { path: query.size ? `${path}?${query}` : path, body: one.hasBody ? rest : undefined };
}

async function problemOf(answer) {
  const text = await answer.text();
  try {
    return new ProblemError(answer.status, JSON.parse(text));
  } catch {
    return new ProblemError(answer.status, { detail: text.slice(0, 500) });
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
