// The keys: which there are, what each does, and when they are the page's or a text field's instead.

const HELP = [["Space", "play, pause"], ["Shift+Space", "loop the segment"], ["← →", "one frame"], ["Shift+← →", "ten frames"], [", .", "slower, faster"],
  ["p n", "previous, next boundary"], ["Tab", "next tier"], ["1–9", "label the marks or the segment"], ["i o", "mark in, out"],
  ["s m Del", "split, merge with next, delete"], ["[ ]", "nudge the nearest edge"], ["a  Shift+A", "accept a suggestion, all"], ["e  Shift+E  Esc", "edit the segment's text, the task; leave it"],
  ["y f", "success, fail"], ["Alt+1–5", "grade"], ["v b u d x", "recovery, blur, occluded, hand lost, rejected"], ["Ctrl+Z  Ctrl+Shift+Z", "undo, redo"],
  ["h", "hide or show the hands"], ["wheel", "zoom the timeline; Shift moves it, double click fits"], ["Enter", "submit and next"]];

class Keys {
  constructor(player) {
    this.player = player;
    this.listen = (e) => this.handle(e);
    window.addEventListener("keydown", this.listen, true);
  }

  destroy() { window.removeEventListener("keydown", this.listen, true); }

  handle(e) {
    const path = e.composedPath(), first = path[0];
    if (!this.player.root.isConnected || this.player.root.offsetParent === null) return;
    const typing = first.tagName && (/^(INPUT|TEXTAREA|SELECT)$/.test(first.tagName) || first.isContentEditable);
    if (typing) {
      if (path.includes(this.player.root)) {
        if (e.key === "Escape" || (e.key === "Enter" && !e.shiftKey)) { first.blur(); this.player.root.focus({ preventScroll: true }); this.player.typing = null; e.preventDefault(); }
        e.stopPropagation();
      }
      return;
    }
    if (!path.includes(this.player.root) && first.closest && first.closest("a,button,[role=button],[role=dialog],[role=option]")) return;
    if (this.act(e)) { e.preventDefault(); e.stopPropagation(); }
  }

  act(e) {
    const { player } = this, { picture } = player, k = e.key.length === 1 ? e.key.toLowerCase() : e.key;
    if (!player.help.hidden) { player.showHelp(); return true; }
    if (e.ctrlKey || e.metaKey) {
      if (k !== "z") return false;
      if (e.shiftKey) player.stepBack(player.redo, player.undo); else player.stepBack(player.undo, player.redo);
      return true;
    }
    if (e.altKey) {
      const digit = /^Digit([1-5])$/.exec(e.code);
      if (digit) player.grade(Number(digit[1]));
      return !!digit;
    }
    const digit = /^[1-9]$/.exec(k), flag = Object.entries(FLAG_KEYS).find(([, letter]) => letter === k);
    if (digit) { player.label(Number(k) - 1); return true; }
    if (flag) { player.flag(flag[0]); return true; }
    const span = player.current();
    const actions = {
      " ": () => picture.toggle(e.shiftKey && span ? span : null), ArrowLeft: () => picture.step(e.shiftKey ? -10 : -1), ArrowRight: () => picture.step(e.shiftKey ? 10 : 1),
      ",": () => picture.faster(-1), ".": () => picture.faster(1), n: () => player.jump(1), p: () => player.jump(-1), "[": () => player.nudge(-1), "]": () => player.nudge(1),
      i: () => player.mark("a"), o: () => player.mark("b"), s: () => player.split(), m: () => player.merge(), Delete: () => player.remove(), Backspace: () => player.remove(),
      a: () => player.accept(e.shiftKey), y: () => player.success(true), f: () => player.success(false), h: () => player.toggleHands(), "?": () => player.showHelp(),
      Tab: () => player.pick(player.tiers[(player.tiers.indexOf(player.tier) + (e.shiftKey ? player.tiers.length - 1 : 1)) % player.tiers.length]),
      e: () => { const field = span && !e.shiftKey ? player.panel.text : player.panel.instruction; field.focus(); field.select(); },
      Escape: () => { player.marks = { a: null, b: null }; player.shown(); }, Enter: () => player.submit(),
      Home: () => picture.seek(0), End: () => picture.seek(player.n - 1),
    };
    if (!actions[k]) return false;
    actions[k]();
    return true;
  }
}
