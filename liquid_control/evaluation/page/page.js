"use strict";
// Draws the figures that stand in the page as JSON, in the colours of the reader's theme. Nothing is
// loaded from anywhere.

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

async function main() {
  const places = [...document.querySelectorAll("[data-figure]")];
  try {
    await unpackPlotly();
    for (const place of places) await draw(place);
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
