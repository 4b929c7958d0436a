// One cursor over all that has a time in the report of a flight: plots, film, camera, neurons, path.
// It is moved by the slider, by the arrow keys, by a click into a plot, by dragging its line there, and
// by the film as it plays.

const STEP = 0.1; // s of an arrow key, ten times as much with shift
const PATH_PERIOD = 120; // ms from one picture of the path to the next, which takes long to draw

const cursor = {
  time: 0,
  ...json("flight"), // start and end, s
  followers: [], // [what it is, function of the time]
  /** Moves to a time; whoever moved it is not told. */
  seek(time, mover = null) {
    this.time = Math.min(Math.max(time, this.start), this.end);
    for (const [who, follow] of this.followers) if (who !== mover) follow(this.time);
  },
  follow(who, follow) {
    this.followers.push([who, follow]);
    follow(this.time);
  },
};

/** Index of the last of rising numbers that is not above a value; -1 if all are. */
function newest(times, value) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= value + 1e-6) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A line over all rows of a plot over time, to drag; a click into the plot moves it there. */
function addLine(place) {
  const line = document.createElement("div");
  line.className = "cursor";
  place.append(line);
  const layout = () => place._fullLayout;
  const timeAt = (x) => layout().xaxis.p2l(x - place.getBoundingClientRect().left - layout()._size.l);
  const show = () => {
    const { xaxis, _size: size } = layout();
    const x = xaxis.l2p(cursor.time);
    line.hidden = !(x >= -1 && x <= xaxis._length + 1);
    Object.assign(line.style, { left: `${size.l + x}px`, top: `${size.t}px`, height: `${size.h}px` });
  };
  place.on("plotly_afterplot", show);
  place.on("plotly_click", ({ event }) => cursor.seek(timeAt(event.clientX)));
  line.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    line.setPointerCapture(event.pointerId);
  });
  line.addEventListener("pointermove", (event) => {
    if (line.hasPointerCapture(event.pointerId)) cursor.seek(timeAt(event.clientX));
  });
  cursor.follow(place, show);
}

/** A dot on the path; drawn now and then, as it takes longer than a picture of the film. */
function addDot(place) {
  const index = (name) => place._fullData.findIndex((trace) => trace.name === name);
  const [path, dot] = [place._fullData[index("flight")], index("cursor")];
  const times = Array.from(path.customdata, (row) => row[0]);
  let waiting = null;
  cursor.follow(place, () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      const k = Math.max(newest(times, cursor.time), 0);
      Plotly.restyle(place, { x: [[path.x[k]]], y: [[path.y[k]]], z: [[path.z[k]]] }, [dot]);
    }, PATH_PERIOD);
  });
}

/** The film goes where the cursor is, and takes it along while it plays. */
function joinFilm(film) {
  let sought = null; // where the page sent it last, s
  const tell = () => cursor.seek(cursor.start + film.currentTime, film);
  const run = () => {
    if (film.paused) return;
    tell();
    requestAnimationFrame(run);
  };
  film.controls = false; // they would hide what stands at its lower edge
  film.addEventListener("click", () => (film.paused ? film.play() : film.pause()));
  film.addEventListener("dblclick", () => film.requestFullscreen());
  film.addEventListener("play", run);
  film.addEventListener("pause", tell);
  film.addEventListener("seeking", () => {
    if (sought === null || Math.abs(film.currentTime - sought) > 1e-3) tell();
  });
  cursor.follow(film, (time) => {
    sought = time - cursor.start;
    film.currentTime = sought;
  });
}

/** Play and pause: of the film, or where there is none of the cursor alone. */
function joinButton(button, film) {
  const name = (playing) => { button.textContent = playing ? "Pause" : "Play"; };
  if (film) {
    film.addEventListener("play", () => name(true));
    film.addEventListener("pause", () => name(false));
    button.addEventListener("click", () => (film.paused ? film.play() : film.pause()));
    return;
  }
  let last = null; // ms, of the picture before, while it plays
  const run = (now) => {
    if (last === null) return;
    cursor.seek(cursor.time + (now - last) / 1000);
    last = cursor.time < cursor.end ? now : null;
    if (last === null) name(false);
    else requestAnimationFrame(run);
  };
  button.addEventListener("click", () => {
    const playing = last === null;
    if (playing && cursor.time >= cursor.end) cursor.seek(cursor.start);
    last = playing ? performance.now() : null;
    name(playing);
    if (playing) requestAnimationFrame(run);
  });
}

function joinSlider(slider, label) {
  Object.assign(slider, { min: cursor.start, max: cursor.end });
  slider.addEventListener("input", () => cursor.seek(Number(slider.value), slider));
  cursor.follow(slider, (time) => { slider.value = time; });
  cursor.follow(label, (time) => { label.value = `${time.toFixed(2)} s`; });
}

/** The arrow keys, wherever they mean nothing else. */
function joinKeys() {
  document.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    cursor.seek(cursor.time + way * STEP * (event.shiftKey ? 10 : 1));
  });
}

/** Colours each neuron of the circuit by its activity; pointing at one shows its synapses. */
function joinCircuit(svg) {
  for (const neuron of svg.querySelectorAll(".neuron")) {
    const own = svg.querySelectorAll(`[data-ends~="${neuron.dataset.id}"]`);
    neuron.addEventListener("pointerenter", () => {
      svg.classList.add("focus");
      own.forEach((s) => s.classList.add("on"));
    });
    neuron.addEventListener("pointerleave", () => {
      svg.classList.remove("focus");
      own.forEach((s) => s.classList.remove("on"));
    });
  }
  const { period, activity } = json("activity"); // activity[step][neuron], -100..100
  const dots = activity[0].map((_, i) => svg.querySelector(`[data-id="n${i}"]`));
  cursor.follow(svg, (time) => {
    const k = Math.min(Math.round((time - cursor.start) / period), activity.length - 1);
    activity[k].forEach((value, i) => {
      const color = css(value < 0 ? "--inhibit" : "--excite");
      const share = Math.min(Math.abs(value), 100);
      if (dots[i]) dots[i].style.fill = `color-mix(in oklab, ${color} ${share}%, ${css("--idle")})`;
    });
  });
}

/** The newest picture of the camera, cut out of a sheet that holds all of them. */
async function joinSight(canvas) {
  const { time, width, height, columns } = json("sight");
  const sheet = document.getElementById(canvas.dataset.sheet);
  await sheet.decode();
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  cursor.follow(canvas, (now) => {
    const k = newest(time, now);
    canvas.dataset.shown = k;
    context.clearRect(0, 0, width, height);
    if (k < 0) return;
    const [row, column] = [Math.floor(k / columns), k % columns];
    context.drawImage(sheet, column * width, row * height, width, height, 0, 0, width, height);
  });
}

async function startCursor() {
  cursor.time = cursor.start;
  const film = document.querySelector("video[data-film]");
  joinSlider(document.getElementById("time"), document.getElementById("time-label"));
  joinButton(document.getElementById("play"), film);
  joinKeys();
  if (film) joinFilm(film);
  document.querySelectorAll("svg.circuit").forEach(joinCircuit);
  await Promise.all([...document.querySelectorAll("[data-sheet]")].map(joinSight));
  await drawn;
  document.querySelectorAll("[data-time]").forEach(addLine);
  document.querySelectorAll("[data-figure=trajectory]").forEach(addDot);
  document.body.dataset.cursor = "on";
}

startCursor();
