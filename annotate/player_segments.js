// The segment algebra: (document, operation) -> a new document; the old one is never changed. Spans are frames, half-open [a, b).
// Spans of a tier stay sorted, never overlap, and always hold at least one frame.

function newId() {
  return "p-" + Math.random().toString(36).slice(2, 10);
}

function withTier(doc, tier, spans) {
  return { ...doc, tiers: { ...doc.tiers, [tier]: spans.slice().sort((p, q) => p.a - q.a) } };
}

// The index of the span that holds a frame, or -1.
function spanAt(spans, frame) {
  return spans.findIndex((s) => s.a <= frame && frame < s.b);
}

// What is left of a tier's spans outside [a, b); a span on both sides becomes two.
function cutOut(spans, a, b) {
  const rest = [];
  for (const s of spans) {
    if (s.b <= a || s.a >= b) { rest.push(s); continue; }
    if (s.a < a) rest.push({ ...s, b: a });
    if (s.b > b) rest.push({ ...s, a: b, id: s.a < a ? newId() : s.id });
  }
  return rest;
}

const OPERATIONS = {
  // Put a span over whatever was there.
  paint(doc, { tier, a, b, label, text = "", id = newId(), source = "person", score = null }) {
    a = Math.max(0, a); b = Math.min(doc.n_frames, b);
    if (b <= a) return doc;
    return withTier(doc, tier, [...cutOut(doc.tiers[tier] || [], a, b), { a, b, label, text, id, source, score }]);
  },
  split(doc, { tier, frame, id = newId() }) {
    const spans = doc.tiers[tier] || [], k = spanAt(spans, frame);
    if (k < 0 || spans[k].a === frame) return doc;
    const s = spans[k];
    return withTier(doc, tier, [...spans.slice(0, k), { ...s, b: frame }, { ...s, a: frame, id }, ...spans.slice(k + 1)]);
  },
  // Join a span with the next one, and with what lies between.
  merge(doc, { tier, id }) {
    const spans = doc.tiers[tier] || [], k = spans.findIndex((s) => s.id === id);
    if (k < 0 || k + 1 >= spans.length) return doc;
    return withTier(doc, tier, [...spans.slice(0, k), { ...spans[k], b: spans[k + 1].b }, ...spans.slice(k + 2)]);
  },
  remove(doc, { tier, id }) {
    const spans = doc.tiers[tier] || [];
    return spans.some((s) => s.id === id) ? withTier(doc, tier, spans.filter((s) => s.id !== id)) : doc;
  },
  // Change a span's words. What a person has touched is the person's.
  relabel(doc, { tier, id, label, text }) {
    const spans = doc.tiers[tier] || [];
    if (!spans.some((s) => s.id === id && ((label ?? s.label) !== s.label || (text ?? s.text) !== s.text))) return doc;
    return withTier(doc, tier, spans.map((s) => s.id !== id ? s
      : { ...s, label: label ?? s.label, text: text ?? s.text, source: "person", score: null }));
  },
  // Move the edge at `side` ("a" or "b"). A neighbour that shares it follows; both keep a frame; one that does not stops it.
  edge(doc, { tier, id, side, frame }) {
    const spans = (doc.tiers[tier] || []).map((s) => ({ ...s })), k = spans.findIndex((s) => s.id === id);
    if (k < 0) return doc;
    const s = spans[k], other = spans[side === "a" ? k - 1 : k + 1];
    const shared = other && (side === "a" ? other.b === s.a : other.a === s.b);
    let low = side === "a" ? 0 : s.a + 1, high = side === "a" ? s.b - 1 : doc.n_frames;
    if (other && side === "a") low = shared ? other.a + 1 : other.b;
    if (other && side === "b") high = shared ? other.b - 1 : other.a;
    frame = Math.min(high, Math.max(low, frame));
    if (frame === s[side]) return doc;
    s[side] = frame; s.source = "person"; s.score = null;
    if (shared) other[side === "a" ? "b" : "a"] = frame;
    return withTier(doc, tier, spans);
  },
  // Take suggested spans as they are; what a person already labelled stays.
  accept(doc, { tier, spans }) {
    let kept = (doc.tiers[tier] || []).slice();
    for (const s of spans) {
      if (!kept.some((t) => t.a < s.b && s.a < t.b)) kept.push({ ...s, id: s.id || newId() });
    }
    return kept.length === (doc.tiers[tier] || []).length ? doc : withTier(doc, tier, kept);
  },
  episode(doc, fields) {
    const changed = Object.keys(fields).some((key) => JSON.stringify(doc.episode[key]) !== JSON.stringify(fields[key]));
    return changed ? { ...doc, episode: { ...doc.episode, ...fields } } : doc;
  },
};

function applyEdit(doc, op, args) {
  return OPERATIONS[op](doc, args);
}
