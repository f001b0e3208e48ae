// The panel beside the picture: task, outcome, flags, labels, the selected segment, suggestions, save state. All text by textContent.

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const ICONS = { play: "M5 3l9 5-9 5z", pause: "M4 3h3v10H4zM9 3h3v10H9z", back: "M11 3v10L5 8z", on: "M5 3v10l6-5z", first: "M4 3h2v10H4zM13 3v10L7 8z", last: "M10 3h2v10h-2zM3 3v10l6-5z" };

// A small drawn sign: fonts without these exist.
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 16 16"); svg.setAttribute("width", "14"); svg.setAttribute("height", "14");
  path.setAttribute("fill", "currentColor"); path.setAttribute("d", ICONS[name]); svg.append(path);
  return svg;
}

const FLAG_KEYS = { recovery: "v", blur: "b", occluded: "u", "hand lost": "d", rejected: "x" };
const SAVE_WORDS = { saved: "saved", waiting: "unsaved", saving: "saving", offline: "no connection, retrying", conflict: "conflict", refused: "not saved" };

class Panel {
  // `act` is the player: edit(op, args), label(k), accept(all), submit(), and so on. Nodes are made once and then only updated.
  constructor(act) {
    this.act = act;
    const key = (k) => el("kbd", { textContent: k });
    const button = (text, k, onclick, extra = "") => el("button", { class: `btn ${extra}`, type: "button", onclick }, el("span", { textContent: text }), k ? key(k) : null);
    const row = (title, ...nodes) => el("div", { class: "field" }, el("label", { textContent: title }), el("div", { class: "controls" }, ...nodes));

    this.instruction = el("textarea", { class: "instruction", rows: 2, maxLength: 2000, placeholder: "What is done, as a command: put the red cube into the bowl",
      oninput: () => act.edit("episode", { instruction: this.instruction.value }, "instruction"), onblur: () => { this.instruction.scrollTop = 0; } });
    this.instruction.setAttribute("aria-label", "Task");
    this.yes = button("Success", "y", () => act.success(true), "yes");
    this.no = button("Fail", "f", () => act.success(false), "no");
    this.grades = [1, 2, 3, 4, 5].map((n) => el("button", { class: "btn grade", type: "button", textContent: n, title: `Alt+${n}`, onclick: () => act.grade(n) }));
    this.flags = el("div", { class: "controls" });
    this.labels = el("div", { class: "labels" });
    this.chosen = el("div", { class: "chosen" });
    this.text = el("input", { class: "text", maxLength: 2000, placeholder: "What happens in this segment (optional)", oninput: () => act.segmentText(this.text.value),
      onfocus: () => act.hold(act.selected), onblur: () => act.hold(null) });
    this.text.setAttribute("aria-label", "Segment text");
    this.tools = el("div", { class: "controls tools" }, button("Split", "s", () => act.split()), button("Merge next", "m", () => act.merge()), button("Delete", "Del", () => act.remove()));
    this.suggested = el("div", { class: "suggested" });
    this.accept = button("Accept", "a", () => act.accept(false));
    this.acceptAll = button("Accept all", "Shift+A", () => act.accept(true));
    this.notes = el("ul", { class: "notes" });
    this.conflict = el("div", { class: "conflict", hidden: true });
    this.save = el("div", { class: "save" });
    this.submitButton = button("Submit and next", "Enter", () => act.submit(), "primary");
    this.root = el("div", { class: "panel" },
      row("Task", this.instruction),
      el("div", { class: "pair" }, row("Outcome", this.yes, this.no), row("Grade", ...this.grades)),
      el("div", { class: "field" }, el("label", { textContent: "Flags" }), this.flags),
      el("div", { class: "field grow" }, el("label", { textContent: "Label" }), this.labels, this.chosen, el("div", { class: "edit" }, this.text, this.tools)),
      el("div", { class: "field" }, el("label", { textContent: "Suggestions" }), el("div", { class: "controls" }, this.suggested, this.accept, this.acceptAll)),
      this.notes, this.conflict,
      el("div", { class: "foot" }, this.save, this.submitButton));
  }

  // A new episode, or new vocabulary: rebuild the buttons that depend on it.
  vocabulary(labels, flags) {
    this.labels.replaceChildren(...labels.slice(0, 9).map((label, k) => {
      const chip = el("button", { class: "chip", type: "button", onclick: () => this.act.label(k) }, el("kbd", { textContent: k + 1 }), el("span", { textContent: label }));
      chip.style.setProperty("--c", labelColour(label, labels));
      return chip;
    }));
    this.flags.replaceChildren(...flags.map((flag) => el("button", { class: "btn flag", type: "button", onclick: () => this.act.flag(flag) },
      el("span", { textContent: flag }), FLAG_KEYS[flag] ? el("kbd", { textContent: FLAG_KEYS[flag] }) : null)));
    this.flagNames = flags; this.labelNames = labels;
  }

  update() {
    const { doc, selected, tier, n, picture, saving, suggestions, notes } = this.act, episode = doc.episode;
    const typing = this.root.getRootNode().activeElement;
    if (typing !== this.instruction) this.instruction.value = episode.instruction;
    this.yes.classList.toggle("on", episode.success === true);
    this.no.classList.toggle("on", episode.success === false);
    this.grades.forEach((node, k) => node.classList.toggle("on", episode.grade === k + 1));
    [...this.flags.children].forEach((node, k) => node.classList.toggle("on", episode.flags.includes(this.flagNames[k])));

    const span = (doc.tiers[tier] || []).find((s) => s.id === selected);
    [...this.labels.children].forEach((node, k) => node.classList.toggle("on", !!span && span.label === this.labelNames[k]));
    if (span) {
      const pts = picture.pts, end = span.b < n ? pts[span.b] : 2 * pts[n - 1] - pts[Math.max(0, n - 2)];
      this.chosen.textContent = `${tier} · ${span.label} · frames ${span.a}–${span.b - 1} · ${(end - pts[span.a]).toFixed(2)} s · by ${span.source}`;
    } else {
      this.chosen.textContent = `no segment here on ${tier}: press a digit, or mark i … o first`;
    }
    this.chosen.classList.toggle("empty", !span);
    this.text.disabled = !span;
    if (typing !== this.text) this.text.value = span ? span.text : "";
    this.tools.classList.toggle("off", !span);

    const open = this.act.openSuggestions(), total = Object.values(suggestions).flat().length;
    this.suggested.textContent = total ? (open.length ? `${open.length} open` : "all settled") : "none";
    this.accept.disabled = this.acceptAll.disabled = !open.length;
    this.notes.replaceChildren(...notes.map((note) => el("li", { textContent: note })));
    this.notes.hidden = !notes.length;

    const unsaved = saving.pending ? `${saving.pending} unsaved` : "";
    const word = saving.state === "saved" ? (saving.version ? `saved · v${saving.version}` : "no changes yet") : saving.state === "waiting" ? unsaved : SAVE_WORDS[saving.state];
    this.save.textContent = saving.message ? `${word}: ${saving.message}` : word;
    this.save.dataset.state = saving.state;
    this.submitButton.firstChild.textContent = this.act.next ? "Submit and next" : "Submit";
    this.showConflict(saving);
  }

  showConflict(saving) {
    const mine = this.act.recovered;
    this.conflict.hidden = !(saving.state === "conflict" || mine);
    if (this.conflict.hidden) return;
    const theirs = saving.theirs;
    const words = mine ? "This browser holds edits of an earlier visit that were never saved, and the episode has changed since."
      : `${theirs.doc.author || "Somebody else"} saved version ${theirs.version} while you edited.`;
    this.conflict.replaceChildren(el("p", { textContent: words }),
      el("button", { class: "btn", type: "button", textContent: "Keep mine", onclick: () => this.act.resolve(true) }),
      el("button", { class: "btn", type: "button", textContent: "Take theirs", onclick: () => this.act.resolve(false) }));
  }
}
