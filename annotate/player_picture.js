// The picture: a hidden video, drawn with the hands over it into one canvas, so that no frame is ever shown with another's hands.

const SIDE_COLOUR = { left: "#58a6ff", right: "#ffa94d" };
const BONES = [[0, 1], [1, 2], [2, 3], [3, 4], [0, 5], [5, 6], [6, 7], [7, 8], [0, 9], [9, 10], [10, 11], [11, 12],
  [0, 13], [13, 14], [14, 15], [15, 16], [0, 17], [17, 18], [18, 19], [19, 20]];
const ABSENT = 0, MEASURED = [1, 2, 3], FIXED = 6;  // codes of hands.h5; the others are filled in
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

// The index of the time nearest to t in an increasing Float64Array.
function nearest(times, t) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1; else high = middle;
  }
  return low > 0 && t - times[low - 1] <= times[low] - t ? low - 1 : low;
}

// The index of the frame on screen at media time t: the last that has begun. (t may lie midway, where "nearest" is anyone's guess.)
function begunAt(times, t) {
  const k = nearest(times, t);
  return k > 0 && times[k] > t + 1e-6 ? k - 1 : k;
}

// Where to seek for frame k: its middle. At its edge, rounding shows the neighbour one time in three.
function middleOf(pts, k) {
  if (k + 1 < pts.length) return (pts[k] + pts[k + 1]) / 2;
  return pts.length > 1 ? pts[k] + (pts[k] - pts[k - 1]) / 2 : pts[k];
}

class Picture {
  constructor(video, canvas, onFrame) {
    this.video = video; this.canvas = canvas; this.onFrame = onFrame;
    this.pts = new Float64Array(0); this.joints = {};
    this.frame = 0; this.target = 0; this.asked = null; this.loop = null; this.overlay = true;
    this.due = null; this.pending = 0; this.alive = true; this.ready = false;
    video.addEventListener("seeked", () => { if (this.due !== null) this.presented(this.due); });
    video.addEventListener("loadeddata", () => { this.ready = true; this.settled(); this.go(); });
    video.addEventListener("ended", () => { this.target = this.pts.length - 1; this.go(); });
    this.register();
  }

  register() {
    if (!this.alive) return;
    this.pending = this.video.requestVideoFrameCallback((_now, meta) => { this.presented(meta.mediaTime); this.register(); });
  }

  destroy() {
    this.alive = false; clearTimeout(this.timer);
    this.video.cancelVideoFrameCallback(this.pending);
    this.video.pause(); this.video.removeAttribute("src"); this.video.load();
  }

  open(url, pts) {
    this.pts = pts; this.joints = {}; this.frame = 0; this.target = 0; this.asked = null; this.loop = null; this.ready = false; this.due = null;
    this.video.src = url;
  }

  // The first picture is there, whether or not the browser said that it was presented.
  settled() { if (this.pts.length) this.presented(this.pts[begunAt(this.pts, this.video.currentTime)]); }

  // A frame reached the screen: `t` is its presentation time.
  presented(t) {
    clearTimeout(this.timer);
    this.due = null;
    if (!this.ready || !this.pts.length) return;
    if (this.video.readyState < 2) { this.due = t; return; }  // announced before it can be drawn: "seeked" follows
    this.frame = nearest(this.pts, t);
    if (this.playing) {
      this.target = this.frame; this.asked = null;
      if (this.loop && this.frame >= this.loop.b - 1) this.video.currentTime = middleOf(this.pts, this.loop.a);
    } else if (this.asked !== null) {
      this.asked = null;
      if (this.frame !== this.target) this.go();
    }
    this.draw();
    this.onFrame();
  }

  get playing() { return !this.video.paused && !this.video.ended; }

  seek(frame) {
    this.loop = null;
    if (this.playing) this.video.pause();
    this.target = Math.min(this.pts.length - 1, Math.max(0, frame));
    if (this.asked === null) this.go();
  }

  // Steps count from where the person is going, not from what is on the screen yet: fast presses all count.
  step(by) { this.seek(this.target + by); }

  // Ask for the target. Only a presented frame answers: the "seeked" event comes before the new picture can be drawn.
  go() {
    clearTimeout(this.timer);
    if (!this.ready || this.playing || this.target === this.frame) { this.onFrame(); return; }
    this.asked = this.target;
    this.video.currentTime = middleOf(this.pts, this.target);
    this.timer = setTimeout(() => this.go(), 1500);  // no answer: ask again
  }

  toggle(loop = null) {
    if (this.playing) { this.video.pause(); this.target = this.frame; this.onFrame(); return; }
    if (loop && !(loop.a <= this.frame && this.frame < loop.b - 1)) this.video.currentTime = middleOf(this.pts, loop.a);
    else if (this.frame >= this.pts.length - 1) this.video.currentTime = 0;
    this.loop = loop; this.asked = null;
    this.video.play().catch(() => this.onFrame());
    this.onFrame();
  }

  faster(by) {
    const at = SPEEDS.indexOf(this.video.playbackRate);
    this.video.playbackRate = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, (at < 0 ? 2 : at) + by))];
    this.onFrame();
  }

  draw() {
    const { canvas, video } = this, ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height || video.readyState < 2) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const g = canvas.getContext("2d");
    g.drawImage(video, 0, 0, width, height);
    if (!this.overlay) return;
    const sx = width / video.videoWidth, sy = height / video.videoHeight;
    for (const [side, points] of Object.entries(this.joints)) this.hand(g, side, points, sx, sy, ratio);
  }

  hand(g, side, points, sx, sy, ratio) {
    const at = this.frame * 63, unit = Math.max(1, g.canvas.width / 640 / ratio) * ratio;
    const code = (j) => points[at + j * 3 + 2], x = (j) => points[at + j * 3] * sx, y = (j) => points[at + j * 3 + 1] * sy;
    const known = (j) => code(j) !== ABSENT && Number.isFinite(points[at + j * 3]);
    g.lineCap = "round";
    for (const [from, to] of BONES) {
      if (!known(from) || !known(to)) continue;
      const sure = MEASURED.includes(code(from)) && MEASURED.includes(code(to));
      g.beginPath(); g.moveTo(x(from), y(from)); g.lineTo(x(to), y(to));
      g.setLineDash(sure ? [] : [4 * unit, 4 * unit]);
      g.strokeStyle = "rgba(0,0,0,.55)"; g.lineWidth = 3.6 * unit; g.stroke();
      g.strokeStyle = SIDE_COLOUR[side]; g.lineWidth = 1.8 * unit; g.stroke();
    }
    g.setLineDash([]);
    for (let j = 0; j < 21; j++) {
      if (!known(j)) continue;
      g.beginPath(); g.arc(x(j), y(j), (j === 0 ? 3.6 : 2.7) * unit, 0, 7);
      g.fillStyle = MEASURED.includes(code(j)) ? SIDE_COLOUR[side] : code(j) === FIXED ? "#ffffff" : "rgba(15,18,23,.85)";
      g.fill(); g.lineWidth = 1.2 * unit;
      g.strokeStyle = MEASURED.includes(code(j)) ? "rgba(0,0,0,.6)" : SIDE_COLOUR[side]; g.stroke();
    }
  }
}
