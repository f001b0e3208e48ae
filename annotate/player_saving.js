// Saving: one POST in flight, a newer document replaces the waiting one, a copy stays in the browser until the server has said "kept".

const DEBOUNCE_MS = 150, RETRY_MS = [500, 1000, 2000, 4000, 8000];

class Saving {
  // `changed` is called on every change of `state`: "saved", "waiting", "saving", "offline", "conflict", "refused"; `stale` while the token is refused, to ask for
  // another: the server may have started anew.
  constructor(changed, stale) {
    this.changed = changed; this.stale = stale; this.client = crypto.randomUUID(); this.rev = 0; this.state = "saved"; this.idle = [];
  }

  open(episode, urls, token, version) {
    this.leave();
    clearTimeout(this.timer);
    this.episode = episode; this.urls = urls; this.token = token; this.version = version;
    this.acked = this.rev; this.waiting = null; this.unsure = null; this.inFlight = false; this.tries = 0; this.theirs = null; this.message = "";
    this.generation = (this.generation || 0) + 1;
    this.set("saved");
  }

  // Going away: what waits is sent without waiting for the answer; the copy in the browser stays for the next visit.
  leave() {
    if (this.waiting && !this.inFlight && this.state !== "conflict") this.post(this.waiting);
  }

  // The page was drawn again, perhaps by a server that started anew: what was refused for an old token may pass now.
  renew(token) {
    const again = token !== this.token && this.state === "refused";
    this.token = token;
    if (again) this.send();
  }

  get pending() { return this.rev - this.acked; }
  get place() { return `firsthand:${this.episode}`; }

  set(state, message = "") { this.state = state; this.message = message; this.changed(); }

  // Unacknowledged edits of an earlier visit: {version, doc}, or null.
  copy() {
    try { return JSON.parse(localStorage.getItem(this.place)); } catch { return null; }
  }

  keep(doc) {
    this.rev += 1; this.waiting = { doc, rev: this.rev };
    try { localStorage.setItem(this.place, JSON.stringify({ version: this.version, doc })); } catch { /* full: the server still has it soon */ }
    if (this.state === "conflict") { this.changed(); return; }
    this.set("waiting");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), DEBOUNCE_MS);
  }

  async send() {
    if (this.inFlight || this.state === "conflict") return;
    // What got no answer may have been kept: it goes again, under the same number, before anything newer.
    const item = this.unsure || this.waiting, generation = this.generation;
    if (!item) return;
    if (item === this.waiting) this.waiting = null;
    this.unsure = null; this.inFlight = true; this.set("saving");
    const reply = await this.post(item);
    if (generation !== this.generation) return;  // another episode is open; the copy in the browser stays
    this.inFlight = false;
    if (reply.ok) {
      this.version = reply.body.version; this.acked = item.rev; this.tries = 0;
      if (item.done) item.done(reply.body);
      if (this.waiting) { this.send(); return; }
      localStorage.removeItem(this.place);
      this.set("saved");
      this.settle(true);
    } else if (reply.status === 0 || reply.status >= 500) {
      this.unsure = item;
      this.set("offline");
      this.timer = setTimeout(() => this.send(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
    } else {
      this.waiting = this.waiting || { doc: item.doc, rev: item.rev };
      if (item.done) item.done(null);
      if (reply.status === 409) { this.theirs = reply.body; this.set("conflict"); }
      else this.set("refused", reply.body.error || `the server answered ${reply.status}`);
      if (reply.status === 403) this.outdated();
      this.settle(false);
    }
  }

  outdated() {
    if (this.state !== "refused") return;
    this.stale();
    this.timer = setTimeout(() => this.outdated(), 2000);
  }

  settle(kept) { this.idle.splice(0).forEach((done) => done(kept)); }

  // Everything acknowledged: true; a conflict or a refusal in the way: false.
  flush() {
    if (!this.pending) return Promise.resolve(true);
    if (this.state === "conflict") return Promise.resolve(false);
    clearTimeout(this.timer);
    const done = new Promise((resolve) => this.idle.push(resolve));
    this.send();
    return done;
  }

  // After a 409: write ours over theirs. (Theirs stays in the history.)
  keepMine() {
    this.version = this.theirs.version; this.theirs = null; this.set("waiting"); this.send();
  }

  // Save and call it submitted; the server's answer, or null when it was not kept.
  async submit(doc) {
    if (!(await this.flush())) return null;
    this.rev += 1;
    return new Promise((done) => { this.waiting = { doc, rev: this.rev, submit: true, done }; this.send(); });
  }

  post({ doc, rev, submit }) {
    return post(submit ? this.urls.submit : this.urls.save, { token: this.token, base_version: this.version, client_id: this.client, client_rev: rev, doc });
  }
}

// The answer {ok, status, body} to a POST; status 0 when there was none.
async function post(url, message) {
  const body = JSON.stringify(message);
  try {
    const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: body.length < 60000 });
    const text = await response.text();
    let parsed;
    try { parsed = JSON.parse(text); } catch { parsed = { error: text }; }
    return { ok: response.ok, status: response.status, body: parsed };
  } catch {
    return { ok: false, status: 0, body: {} };
  }
}
