// The timeline: a ruler, one lane per signal, one row per tier. Drag an edge, click to seek, wheel to zoom.

const GUTTER = 124, RULER = 22, TIER = 26, GRAB = 6, SNAP = 5;
const LANE_LOW = 20, LANE_HIGH = 44;
const PALETTE = ["#5b8def", "#3fb68b", "#d9a441", "#b36ae2", "#e2725b", "#6b7686", "#2fb3c4", "#d665a0", "#9bbf3c"];

function labelColour(label, labels) {
  const at = labels.indexOf(label);
  if (at >= 0) return PALETTE[at % PALETTE.length];
  let sum = 0;
  for (const letter of label) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return PALETTE[sum % PALETTE.length];
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - minutes * 60).toFixed(2).padStart(5, "0")}`;
}

class Timeline {
  // `host` gives: doc, suggestions, tier, selected, marks, labels, tiers, lanes, picture; and takes: pick, seek, dragEdge, dropEdge.
  constructor(canvas, host) {
    this.canvas = canvas; this.host = host; this.from = 0; this.to = 1; this.drag = null; this.laneHeight = LANE_HIGH;
    canvas.addEventListener("pointerdown", (e) => this.down(e));
    canvas.addEventListener("pointermove", (e) => this.move(e));
    canvas.addEventListener("pointerup", (e) => this.up(e));
    canvas.addEventListener("pointercancel", (e) => this.up(e));
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    canvas.addEventListener("dblclick", () => this.fit());
  }

  // Lanes share the height that is left in the window, so that the whole player is in sight.
  measure() {
    const { lanes, tiers } = this.host, left = window.innerHeight - Math.max(this.canvas.getBoundingClientRect().top, 300) - RULER - tiers.length * TIER - 30;
    this.laneHeight = Math.min(LANE_HIGH, Math.max(LANE_LOW, Math.floor(left / Math.max(1, lanes.length))));
  }

  fit() { this.from = 0; this.to = Math.max(1, this.host.n); this.measure(); this.draw(); }

  get height() { return RULER + this.host.lanes.length * this.laneHeight + this.host.tiers.length * TIER + 10; }
  get span() { return Math.max(1, this.canvas.clientWidth - GUTTER - 10); }
  tierTop(k) { return RULER + this.host.lanes.length * this.laneHeight + k * TIER + 4; }
  x(frame) { return GUTTER + ((frame - this.from) / (this.to - this.from)) * this.span; }
  frameAt(x) { return this.from + ((x - GUTTER) / this.span) * (this.to - this.from); }

  // What lies under the pointer: a tier, the span in it, and an edge within reach.
  at(e) {
    const box = this.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    const k = Math.floor((y - this.tierTop(0)) / TIER), tier = y >= this.tierTop(0) ? this.host.tiers[k] : undefined;
    const found = { x, y, tier, frame: Math.floor(this.frameAt(x)), edge: null };
    if (!tier || x < GUTTER) return found;
    const spans = this.host.doc.tiers[tier] || [];
    let best = GRAB + 1;
    for (const s of spans) {
      for (const side of ["a", "b"]) {
        const far = Math.abs(this.x(s[side]) - x);
        // Where two spans touch, the one under the pointer is taken: its neighbour follows anyway.
        if (far < best || (far === best && found.frame >= s.a && found.frame < s.b)) { best = far; found.edge = { id: s.id, side }; }
      }
    }
    return found;
  }

  down(e) {
    const hit = this.at(e);
    this.canvas.setPointerCapture(e.pointerId);
    if (e.button === 1 || e.shiftKey) { this.drag = { pan: hit.x, from: this.from, to: this.to }; e.preventDefault(); return; }
    if (hit.x < GUTTER) { if (hit.tier) this.host.pick(hit.tier); return; }
    if (hit.edge) {
      this.drag = { edge: hit.edge, tier: hit.tier };
      this.host.pick(hit.tier);
      return;
    }
    this.drag = { scrub: true };
    if (hit.tier) this.host.pick(hit.tier);
    this.host.seek(hit.frame);
  }

  move(e) {
    const hit = this.at(e);
    if (!this.drag) {
      this.canvas.style.cursor = hit.edge ? "ew-resize" : hit.x < GUTTER ? "default" : "pointer";
      return;
    }
    if (this.drag.scrub) this.host.seek(hit.frame);
    if (this.drag.edge) this.host.dragEdge(this.drag.tier, this.drag.edge, this.snap(this.drag.tier, hit.x));
    if (this.drag.pan !== undefined) {
      const by = ((this.drag.pan - hit.x) / this.span) * (this.drag.to - this.drag.from);
      this.window(this.drag.from + by, this.drag.to + by);
    }
  }

  up() {
    if (this.drag && this.drag.edge) this.host.dropEdge();
    this.drag = null;
  }

  // The frame under x, drawn to a suggested edge within a few pixels.
  snap(tier, x) {
    for (const s of this.host.suggestions[tier] || []) {
      for (const side of ["a", "b"]) if (Math.abs(this.x(s[side]) - x) <= SNAP) return s[side];
    }
    return Math.round(this.frameAt(x));
  }

  wheel(e) {
    e.preventDefault();
    const width = this.to - this.from;
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      const by = ((e.deltaX || e.deltaY) / 400) * width;
      this.window(this.from + by, this.to + by);
      return;
    }
    const box = this.canvas.getBoundingClientRect(), middle = this.frameAt(Math.max(GUTTER, e.clientX - box.left));
    const scale = Math.exp(e.deltaY * 0.0015), wide = Math.min(this.host.n, Math.max(Math.min(20, this.host.n), width * scale));
    const from = middle - ((middle - this.from) / width) * wide;
    this.window(from, from + wide);
  }

  window(from, to) {
    const width = Math.min(to - from, this.host.n);
    this.from = Math.min(Math.max(0, from), this.host.n - width); this.to = this.from + width;
    this.draw();
  }

  // Keep the playhead in sight when zoomed in.
  follow() {
    const frame = this.host.picture.frame, width = this.to - this.from;
    if (!this.drag && (frame < this.from || frame >= this.to)) this.window(frame - width * 0.1, frame + width * 0.9);
  }

  draw() {
    const { canvas, host } = this, ratio = window.devicePixelRatio || 1;
    canvas.style.height = `${this.height}px`;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(this.height * ratio);
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, canvas.clientWidth, this.height);
    g.font = "11px system-ui, sans-serif"; g.textBaseline = "middle";
    this.ruler(g);
    host.lanes.forEach((lane, k) => this.lane(g, lane, RULER + k * this.laneHeight));
    host.tiers.forEach((tier, k) => this.tier(g, tier, this.tierTop(k)));
    this.marks(g);
    const x = this.x(host.picture.frame + 0.5);
    if (x >= GUTTER && x <= GUTTER + this.span) {
      g.fillStyle = "#ff5d5d"; g.fillRect(x - 0.75, 4, 1.5, this.height - 8);
      g.beginPath(); g.moveTo(x - 5, 2); g.lineTo(x + 5, 2); g.lineTo(x, 9); g.fill();
    }
  }

  ruler(g) {
    const pts = this.host.picture.pts, f0 = Math.max(0, Math.floor(this.from)), f1 = Math.min(this.host.n, Math.ceil(this.to));
    if (f1 - f0 < 2) return;
    const t0 = pts[f0], t1 = pts[f1 - 1], wanted = ((t1 - t0) / this.span) * 90;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => s >= wanted) || 1200;
    g.fillStyle = "#8b95a5"; g.textAlign = "center";
    for (let t = Math.ceil(t0 / step) * step; t <= t1; t += step) {
      const x = this.x(nearest(pts, t));
      g.fillRect(x, RULER - 6, 1, 4);
      if (x > GUTTER + 12 && x < GUTTER + this.span - 14) g.fillText(step < 1 ? `${t.toFixed(1)} s` : t >= 60 ? clock(t).slice(0, -3) : `${t.toFixed(0)} s`, x, 9);
    }
  }

  lane(g, lane, top) {
    const tall = this.laneHeight - 4, bottom = top + tall;
    g.fillStyle = "#12161d"; g.fillRect(GUTTER, top, this.span, tall);
    const low = tall < 24, words = low && lane.unit ? `${lane.name}, ${lane.unit}` : lane.name;
    g.textAlign = "left"; g.fillStyle = "#c3cad6"; g.fillText(words, 6, low ? top + tall / 2 : top + 7, GUTTER - 42);
    if (!low) { g.fillStyle = "#7d8797"; g.fillText(lane.unit, 6, top + 19, GUTTER - 46); }
    g.textAlign = "right"; g.fillStyle = "#6b7585"; g.font = "10px system-ui, sans-serif";
    g.fillText(lane.top, GUTTER - 6, top + 6);
    if (!low) g.fillText(lane.bottom, GUTTER - 6, bottom - 5);
    g.font = "11px system-ui, sans-serif";
    const f0 = Math.max(0, Math.floor(this.from)), f1 = Math.min(this.host.n, Math.ceil(this.to) + 1);
    const y = (v) => bottom - 2 - ((Math.min(lane.high, Math.max(lane.low, v)) - lane.low) / (lane.high - lane.low)) * (tall - 5);
    const stride = Math.max(1, Math.floor((f1 - f0) / this.span / 2));
    for (const [side, values] of Object.entries(lane.curves)) {
      g.strokeStyle = SIDE_COLOUR[side]; g.lineWidth = 1.3; g.beginPath();
      let pen = false;
      for (let f = f0; f < f1; f += stride) {
        const v = values[f];
        if (!Number.isFinite(v)) { pen = false; continue; }
        if (pen) g.lineTo(this.x(f + 0.5), y(v)); else g.moveTo(this.x(f + 0.5), y(v));
        pen = true;
      }
      g.stroke();
    }
  }

  tier(g, tier, top) {
    const host = this.host, active = host.tier === tier, inner = TIER - 5;
    g.fillStyle = active ? "#1d2430" : "#151a22"; g.fillRect(GUTTER, top, this.span, inner);
    g.textAlign = "left"; g.fillStyle = active ? "#ffffff" : "#98a2b3";
    g.font = `${active ? "600 " : ""}12px system-ui, sans-serif`; g.fillText(tier, 14, top + inner / 2);
    if (active) { g.fillStyle = "#4f8cff"; g.fillRect(2, top + 4, 4, inner - 8); }
    g.save(); g.beginPath(); g.rect(GUTTER, top, this.span, inner); g.clip();
    g.font = "11px system-ui, sans-serif";
    const spans = host.doc.tiers[tier] || [];
    for (const s of host.suggestions[tier] || []) {
      if (spans.some((t) => t.a < s.b && s.a < t.b)) continue;
      const x = this.x(s.a), w = this.x(s.b) - x, colour = labelColour(s.label, host.labels);
      g.setLineDash([4, 3]); g.strokeStyle = colour; g.lineWidth = 1.2; g.strokeRect(x + 1, top + 1.5, w - 2, inner - 3); g.setLineDash([]);
      this.word(g, s.label, x, w, top, inner, "#98a2b3", true);
    }
    for (const s of spans) {
      const x = this.x(s.a), w = this.x(s.b) - x, colour = labelColour(s.label, host.labels), chosen = host.selected === s.id && active;
      g.globalAlpha = chosen ? 1 : 0.78; g.fillStyle = colour; g.fillRect(x + 0.5, top, Math.max(1, w - 1), inner); g.globalAlpha = 1;
      if (chosen) { g.strokeStyle = "#ffffff"; g.lineWidth = 2; g.strokeRect(x + 1.5, top + 1, Math.max(1, w - 3), inner - 2); }
      this.word(g, s.text && s.text !== s.label ? `${s.label} · ${s.text}` : s.label, x, w, top, inner, "#0d1117", false);
    }
    g.restore();
  }

  word(g, text, x, w, top, inner, colour, slanted) {
    const left = Math.max(x, GUTTER) + 6, room = x + w - left - 5;
    if (room < 14) return;
    g.fillStyle = colour; g.textAlign = "left"; g.font = `${slanted ? "italic" : "600"} 11px system-ui, sans-serif`;
    let shown = text;
    while (shown.length > 1 && g.measureText(shown).width > room) shown = shown.slice(0, -1);
    g.fillText(shown, left, top + inner / 2 + 0.5);
  }

  marks(g) {
    const { a, b } = this.host.marks;
    g.fillStyle = "#ffd166";
    if (a !== null && b !== null && b > a) {
      g.globalAlpha = 0.16; g.fillRect(this.x(a), RULER, this.x(b) - this.x(a), this.height - RULER - 6); g.globalAlpha = 1;
    }
    g.font = "bold 13px system-ui, sans-serif"; g.textAlign = "center";
    for (const [frame, sign] of [[a, "["], [b, "]"]]) {
      if (frame === null) continue;
      const x = this.x(frame);
      if (x < GUTTER || x > GUTTER + this.span) continue;
      g.fillRect(x - 0.5, RULER - 4, 1, this.height - RULER); g.fillText(sign, x + (sign === "[" ? 5 : -5), RULER - 10);
    }
  }
}
