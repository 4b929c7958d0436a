"use strict";
// Draws the figures that stand in the page as JSON, in the colours of the reader's theme, and
// replays neuron activity in the circuit. Nothing is loaded from anywhere.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const json = (id) => JSON.parse(document.getElementById(id).textContent);

/** The text of an element that travels compressed. */
async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent.trim());
  const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** plotly.js: 1.9 MB in the page in place of 4.8 MB. */
async function unpackPlotly() {
  const script = document.createElement("script");
  script.textContent = await unpack("plotly");
  document.head.append(script);
}

/** The layout with the page's colours on all that a figure leaves open. */
function themed(layout) {
  const copy = structuredClone(layout);
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line") };
  copy.paper_bgcolor = copy.plot_bgcolor = "rgba(0,0,0,0)";
  copy.font = { ...copy.font, color: css("--muted"), size: 12, family: "system-ui, sans-serif" };
  copy.hoverlabel = { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } };
  for (const key of Object.keys(copy)) {
    if (/^[xy]axis\d*$/.test(key)) Object.assign(copy[key], axis);
    if (/^scene\d*$/.test(key))
      for (const a of ["xaxis", "yaxis", "zaxis"])
        Object.assign(copy[key][a], axis, { showbackground: false });
  }
  return copy;
}

function draw(place) {
  const figure = json(place.dataset.figure);
  const config = { responsive: true, displayModeBar: false };
  return Plotly.react(place, figure.data, themed(figure.layout), config);
}

/** Colours each neuron of the circuit by its activity at a time; hovering shows its synapses. */
function startReplay() {
  const svg = document.querySelector("svg.circuit");
  if (!svg) return null;
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
  const slider = document.getElementById("time");
  const button = document.getElementById("play");
  const label = document.getElementById("time-label");
  slider.max = activity.length - 1;
  const show = () => {
    const row = activity[slider.value];
    row.forEach((value, i) => {
      const color = css(value < 0 ? "--inhibit" : "--excite");
      const share = Math.min(Math.abs(value), 100);
      const dot = svg.querySelector(`[data-id="n${i}"]`);
      if (dot) dot.style.fill = `color-mix(in oklab, ${color} ${share}%, ${css("--idle")})`;
    });
    label.value = `${(slider.value * period).toFixed(2)} s`;
  };
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    button.textContent = "Pause";
    timer = setInterval(() => {
      if (slider.value === slider.max) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }, period * 1000);
  });
  slider.addEventListener("input", show);
  show();
  return (time) => {
    slider.value = Math.round(time / period);
    show();
  };
}

async function main() {
  const places = [...document.querySelectorAll("[data-figure]")];
  const seek = startReplay();
  try {
    await unpackPlotly();
    for (const place of places) {
      await draw(place);
      if (seek && place.dataset.time !== undefined)
        place.on("plotly_hover", (event) => seek(event.points[0].x));
    }
  } catch (error) {
    const note = `This browser can't draw the plots (${error.message}); any browser since 2023 can.`;
    for (const place of places) if (!place.hasChildNodes()) {
      place.textContent = note;
      place.classList.add("failed");
    }
    throw error;
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
  document.body.dataset.drawn = places.length;
}

const drawn = main();
