// The player: composes picture, timeline, panel and saving; holds the document and what can be done to it.

const UNDO_KEPT = 200;

class Player {
  constructor(root) {
    this.root = root; this.lanes = []; this.tiers = []; this.labels = []; this.suggestions = {}; this.notes = [];
    this.doc = { n_frames: 0, episode: { instruction: "", success: null, grade: null, flags: [] }, tiers: {} };
    this.episode = null; this.tier = "subtask"; this.held = null; this.marks = { a: null, b: null }; this.undo = []; this.redo = []; this.n = 0;
    this.page = null; this.ahead = []; this.next = null; this.coming = null;
    this.saving = new Saving(() => this.panel && this.panel.update(), () => this.notify({ to: this.episode, at: Date.now() }));
    const control = (text, title, onclick) => el("button", { class: "btn tool", type: "button", title, onclick }, ICONS[text] ? icon(text) : text);
    this.video = el("video", { muted: true, playsInline: true, preload: "auto" });
    this.screen = el("canvas", { class: "screen" });
    this.message = el("div", { class: "message" });
    this.box = el("div", { class: "box" }, this.video, this.screen, this.message);
    this.playButton = control("play", "Space", () => this.picture.toggle());
    this.status = el("div", { class: "status", title: "frame, and time" });
    const bar = el("div", { class: "bar" }, control("first", "previous boundary (p)", () => this.jump(-1)), control("back", "one frame back (←)", () => this.picture.step(-1)), this.playButton,
      control("on", "one frame on (→)", () => this.picture.step(1)), control("last", "next boundary (n)", () => this.jump(1)),
      this.status, this.speed = control("1×", "speed (, and .)", () => this.picture.faster(this.video.playbackRate >= 8 ? -5 : 1)),
      control("Hands", "hide or show the hands (h)", () => this.toggleHands()), control("?", "keys", () => this.showHelp()));
    this.panel = new Panel(this);
    this.line = el("canvas", { class: "timeline" });
    this.help = el("div", { class: "help", hidden: true, onclick: () => this.showHelp() }, el("div", { class: "sheet" }, el("h3", { textContent: "Keys" }),
      el("dl", {}, ...HELP.flatMap(([k, what]) => [el("dt", {}, ...k.split(/\s+/).map((part) => el("kbd", { textContent: part }))), el("dd", { textContent: what })]))));
    root.replaceChildren(el("div", { class: "top" }, el("div", { class: "stage" }, this.box, bar), this.panel.root), this.line, this.help);
    this.picture = new Picture(this.video, this.screen, () => this.shown());
    this.timeline = new Timeline(this.line, this);
    this.video.addEventListener("error", () => this.say("the video cannot be played; reload the page"));
    this.keys = new Keys(this);
    this.onLeave = () => this.saving.leave();
    window.addEventListener("pagehide", this.onLeave);
    this.onClick = (e) => { if (e.target.closest && e.target.closest("button")) this.root.focus({ preventScroll: true }); };
    root.addEventListener("click", this.onClick);
    this.observer = new ResizeObserver(() => { this.picture.draw(); this.timeline.measure(); this.timeline.draw(); });
    this.observer.observe(root);
    const player = this;
    window.__fh = {
      get episode() { return player.loaded; }, get frame() { return player.picture.frame; }, get target() { return player.picture.target; }, get n() { return player.n; },
      get doc() { return player.doc; }, get rev() { return player.saving.rev; }, get acked() { return player.saving.acked; }, get pending() { return player.saving.pending; },
      get state() { return player.saving.state; }, get version() { return player.saving.version; }, get tier() { return player.tier; }, get selected() { return player.selected; },
      get playing() { return player.picture.playing; }, get ready() { return !!player.coming; }, get drawn() { return player.picture.ready && player.loaded; }, get lanes() { return player.lanes.length; }, get suggestions() { return player.suggestions; },
      seek: (frame) => player.picture.seek(frame),
      x: (frame) => player.timeline.x(frame), y: (tier) => player.timeline.tierTop(player.tiers.indexOf(tier)) + TIER / 2,
    };
  }

  destroy() {
    this.saving.leave();
    this.keys.destroy();
    window.removeEventListener("pagehide", this.onLeave);
    this.observer.disconnect(); this.picture.destroy();
  }

  say(text) { this.message.textContent = text; this.message.hidden = !text; }

  // New data from the page. Where the player went on by itself the page lags behind, and passes the same episodes later.
  update(data, notify) {
    this.notify = notify;
    const lags = this.ahead.length && data.episode === this.page, at = this.ahead.indexOf(data.episode);
    this.page = data.episode;
    if (!lags) this.ahead = at < 0 ? [] : this.ahead.slice(at + 1);
    if (this.ahead.length) return;
    if (data.episode === this.episode) this.again(data); else this.open(data);
  }

  // The episode that is open, as the page knows it now: newer only when somebody else changed it.
  again(data) {
    if (!this.saving.pending && data.version > this.saving.version) {
      this.undo.push(this.doc); this.doc = structuredClone(data.doc); this.saving.version = data.version;
    }
    this.saving.renew(data.token);
    this.foresee(data.next);
    this.shown();
  }

  // Have the next episode at hand when it is wanted: the server makes it ready, and this browser holds its data.
  async foresee(next) {
    const same = next && next.episode === this.next?.episode;
    this.next = next;
    if (same) return;
    this.coming = null;
    const reply = next && await post(next.url, { token: next.token, filter: next.filter });
    if (!reply || !reply.ok || this.next?.episode !== next.episode) return;
    const data = reply.body, [pts, signals] = await Promise.all([this.fetched(data.urls.pts), this.fetched(data.urls.signals)]);
    if (pts && this.next?.episode === data.episode) this.coming = { data, pts, signals };
  }

  // Show an episode. `had` are its times and signals when they were fetched before.
  async open(data, had = null) {
    this.suggestions = data.suggestions; this.labels = data.labels; this.tiers = data.tiers;
    this.panel.vocabulary(data.labels, data.flags);
    this.episode = data.episode; this.loaded = null; this.n = data.frames;
    this.saving.open(data.episode, data.urls, data.token, data.version);
    this.doc = structuredClone(data.doc);
    this.undo = []; this.redo = []; this.held = null; this.submitting = false; this.marks = { a: null, b: null }; this.lanes = []; this.notes = []; this.recovered = null;
    this.tier = this.tiers.includes("subtask") ? "subtask" : this.tiers[0];
    this.recover(data);
    this.root.style.setProperty("--aspect", data.width / data.height);
    this.say("loading …");
    const { pts, signals } = had || Object.fromEntries(await Promise.all(["pts", "signals"].map(async (name) => [name, await this.fetched(data.urls[name])])));
    if (this.episode !== data.episode) return;
    if (!pts) { this.say("the frames' times cannot be loaded; reload the page"); return; }
    this.picture.open(data.urls.video, new Float64Array(pts));
    if (signals) this.unpack(signals);
    this.timeline.fit();
    this.loaded = data.episode;
    this.say("");
    if (!/^(INPUT|TEXTAREA)$/.test(document.activeElement?.tagName)) this.root.focus({ preventScroll: true });  // keys are the player's, not the Next button's
    this.shown();
    this.foresee(data.next);
  }

  async fetched(url) {
    try {
      const response = await fetch(url);
      return response.ok ? await response.arrayBuffer() : null;
    } catch { return null; }
  }

  unpack(buffer) {
    const length = new DataView(buffer).getUint32(0, true), n = this.n;
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    const take = (count) => { const values = new Float32Array(buffer, at, count); at += 4 * count; return values; };
    if (header.frames !== n) return;
    this.lanes = header.lanes.map((lane) => {
      const curves = Object.fromEntries(lane.sides.map((side) => [side, take(n)]));
      const seen = Object.values(curves).flatMap((values) => [...values]).filter(Number.isFinite).sort((p, q) => p - q);
      const low = lane.low ?? seen[0] ?? 0;
      let high = lane.high ?? seen[Math.floor(seen.length * 0.995)] ?? 1;
      if (!(high > low)) high = low + 1;
      const short = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(1).replace(/\.0$/, "") : v.toFixed(2).replace(/\.?0+$/, ""));
      return { name: lane.name, unit: lane.unit, curves, low, high, top: short(high), bottom: short(low) };
    });
    this.picture.joints = Object.fromEntries(header.joints.map((side) => [side, take(n * 63)]));
    this.notes = header.notes;
  }

  // Edits of an earlier visit that never arrived: taken up when nothing else happened since, otherwise a person chooses.
  recover(data) {
    const copy = this.saving.copy();
    if (!copy) return;
    const same = ["episode", "tiers"].every((part) => JSON.stringify(copy.doc[part]) === JSON.stringify(data.doc[part]));
    if (same || copy.doc.n_frames !== data.frames) { localStorage.removeItem(this.saving.place); return; }
    if (copy.version === data.version) { this.doc = copy.doc; this.saving.keep(this.doc); } else this.recovered = copy.doc;
  }

  resolve(mine) {
    if (this.recovered) {
      const copy = this.recovered;
      this.recovered = null;
      if (mine) this.change(copy); else { localStorage.removeItem(this.saving.place); this.shown(); }
      return;
    }
    const theirs = this.saving.theirs;
    if (mine) { this.saving.keepMine(); return; }
    this.undo.push(this.doc); this.doc = theirs.doc;
    this.saving.open(this.episode, this.saving.urls, this.saving.token, theirs.version);
    localStorage.removeItem(this.saving.place);
    this.shown();
  }

  shown() {
    const { picture } = this;
    this.timeline.follow();
    this.timeline.draw();
    this.panel.update();
    this.playButton.replaceChildren(icon(picture.playing ? "pause" : "play"));
    this.speed.textContent = `${this.video.playbackRate}×`;
    const t = picture.pts[picture.frame] ?? 0;
    this.status.textContent = this.n ? `${picture.frame} / ${this.n - 1}   ${clock(t)}${picture.loop ? "   loop" : ""}` : "";
  }

  // ---- edits: every one is a step back on the undo list; typing in one field is one step.
  change(doc, typing = null) {
    if (doc === this.doc) return false;
    if (!typing || this.typing !== typing) { this.undo.push(this.doc); if (this.undo.length > UNDO_KEPT) this.undo.shift(); }
    this.typing = typing; this.redo = []; this.doc = doc;
    this.saving.keep(doc);
    this.shown();
    return true;
  }

  edit(op, args, typing = null) { return this.change(applyEdit(this.doc, op, args), typing); }

  stepBack(from, to) {
    if (!from.length) return;
    to.push(this.doc); this.doc = from.pop(); this.typing = null;
    this.saving.keep(this.doc);
    this.shown();
  }

  spans() { return this.doc.tiers[this.tier] || []; }
  // The segment that keys and buttons act on: the one under the playhead, unless one is held by a drag or by typing its text.
  current() { return this.spans().find((s) => s.id === this.held) || this.spans()[spanAt(this.spans(), this.picture.target)] || null; }
  get selected() { const span = this.current(); return span ? span.id : null; }
  hold(id) { this.held = id; this.shown(); }

  success(value) { this.edit("episode", { success: this.doc.episode.success === value ? null : value }); }
  grade(n) { this.edit("episode", { grade: this.doc.episode.grade === n ? null : n }); }
  flag(name) {
    const flags = this.doc.episode.flags;
    this.edit("episode", { flags: flags.includes(name) ? flags.filter((f) => f !== name) : [...flags, name] });
  }

  // A digit: label what lies between the marks, else the segment, else the gap (or the suggestion) under the playhead.
  label(k) {
    const label = this.labels[k], { a, b } = this.marks, frame = this.picture.target;
    if (!label) return;
    if (a !== null && b !== null && b > a) {
      this.marks = { a: null, b: null };
      this.edit("paint", { tier: this.tier, a, b, label });
      return;
    }
    const span = this.current();
    if (span) { this.edit("relabel", { tier: this.tier, id: span.id, label }); return; }
    const spans = this.spans(), hint = (this.suggestions[this.tier] || []).find((s) => s.a <= frame && frame < s.b);
    const before = Math.max(0, ...spans.filter((s) => s.b <= frame).map((s) => s.b)), behind = Math.min(this.n, ...spans.filter((s) => s.a > frame).map((s) => s.a));
    this.edit("paint", { tier: this.tier, a: Math.max(before, hint ? hint.a : 0), b: Math.min(behind, hint ? hint.b : this.n), label });
  }

  segmentText(text) {
    const span = this.current();
    if (span) this.edit("relabel", { tier: this.tier, id: span.id, text }, `text ${span.id}`);
  }

  split() { this.edit("split", { tier: this.tier, frame: this.picture.target }); }
  merge() { const span = this.current(); if (span) this.edit("merge", { tier: this.tier, id: span.id }); }
  remove() { const span = this.current(); if (span) this.edit("remove", { tier: this.tier, id: span.id }); }

  mark(side) {
    const frame = this.picture.target;
    this.marks = side === "a" ? { a: frame, b: this.marks.b !== null && this.marks.b > frame ? this.marks.b : null }
      : { a: this.marks.a !== null && this.marks.a <= frame ? this.marks.a : null, b: frame + 1 };
    this.shown();
  }

  nudge(by) {
    const span = this.current(), frame = this.picture.target;
    if (!span) return;
    const side = Math.abs(span.a - frame) <= Math.abs(span.b - frame) ? "a" : "b";
    if (this.edit("edge", { tier: this.tier, id: span.id, side, frame: span[side] + by })) {
      const moved = this.spans().find((s) => s.id === span.id);
      this.picture.seek(side === "a" ? moved.a : moved.b - 1);
    }
  }

  // Suggestions nobody has decided on: those that touch no segment of their tier.
  openSuggestions(tiers = this.tiers) {
    return tiers.flatMap((tier) => (this.suggestions[tier] || [])
      .filter((s) => !(this.doc.tiers[tier] || []).some((t) => t.a < s.b && s.a < t.b)).map((s) => ({ tier, ...s })));
  }

  accept(all) {
    if (all) {
      let doc = this.doc;
      for (const tier of this.tiers) doc = applyEdit(doc, "accept", { tier, spans: this.suggestions[tier] || [] });
      this.change(doc);
      return;
    }
    const open = this.openSuggestions([this.tier]), frame = this.picture.target;
    const taken = open.find((s) => s.a <= frame && frame < s.b) || open.find((s) => s.a >= frame) || open[0];
    if (!taken) return;
    const { tier, ...span } = taken;
    this.edit("accept", { tier, spans: [span] });
    this.picture.seek(span.a);
  }

  // ---- what the timeline asks for
  pick(tier) { this.tier = tier; this.typing = null; this.shown(); }
  seek(frame) { this.picture.seek(frame); }

  dragEdge(tier, { id, side }, frame) {
    this.beforeDrag = this.beforeDrag || this.doc; this.held = id;
    this.doc = applyEdit(this.beforeDrag, "edge", { tier, id, side, frame });
    const span = this.doc.tiers[tier].find((s) => s.id === id);
    this.picture.seek(side === "a" ? span.a : span.b - 1);
    this.shown();
  }

  dropEdge() {
    const after = this.doc;
    this.doc = this.beforeDrag || this.doc; this.beforeDrag = null; this.held = null;
    this.change(after);
  }

  jump(by) {
    const spans = [...this.spans(), ...(this.suggestions[this.tier] || [])];
    const edges = [...new Set([0, this.n - 1, ...spans.flatMap((s) => [s.a, Math.min(s.b, this.n - 1)])])].sort((p, q) => p - q);
    const frame = this.picture.target;
    this.picture.seek(by > 0 ? edges.find((f) => f > frame) ?? this.n - 1 : edges.filter((f) => f < frame).pop() ?? 0);
  }

  toggleHands() { this.picture.overlay = !this.picture.overlay; this.picture.draw(); }
  showHelp() { this.help.hidden = !this.help.hidden; }

  async submit() {
    if (this.submitting || !this.loaded) return;
    this.submitting = true;
    const answer = await this.saving.submit(this.doc);
    this.submitting = false;
    this.panel.update();
    if (!answer) return;
    if (!this.next) { this.say("submitted: that was the last one"); setTimeout(() => this.say(""), 4000); return; }
    const to = this.next.episode, { coming } = this;
    if (coming) { this.ahead.push(to); this.open(coming.data, coming); }
    this.notify({ to, at: Date.now() });
  }
}

const players = new Map();

export default function mount({ data, key, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".fh");
  let player = players.get(key);
  if (player && player.root !== root) { player.destroy(); player = null; }
  if (!player) { player = new Player(root); players.set(key, player); }
  player.update(data, (news) => setStateValue("went", news));
  return () => { if (!root.isConnected && players.get(key) === player) { player.destroy(); players.delete(key); } };
}
