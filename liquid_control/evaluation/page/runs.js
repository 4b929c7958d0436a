// The list of runs: sorts and filters it, and lays the runs that are ticked over each other. What is
// ticked stands in the address, so that a comparison can be kept and sent.

const COLORS = ["#3b8fd9", "#e08a1e", "#1fa187", "#c468a8", "#b39b2c", "#6a6fd0", "#d1495b", "#8793a3"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const ROW = 132; // px of a plot
const MARGIN = { l: 56, r: 12, t: 34, b: 44 };
const list = document.getElementById("runs");
const rows = [...list.tBodies[0].rows];
const courses = new Map(); // of the runs that were ticked, by their element's id
const ticked = []; // rows, in the order in which they were ticked
const hiddenGroups = new Set(); // "flight wind"
const axes = {}; // what the curves of a kind are drawn over

const box = (row) => row.querySelector("input[type=checkbox]");
const plainText = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const styleOf = (index) => ({
  color: COLORS[index % COLORS.length],
  dash: DASHES[Math.floor(index / COLORS.length) % DASHES.length],
});

/** A color and a dash for each row that is ticked: those that no other one has. */
function paint() {
  const used = new Set(ticked.map((row) => row.mark));
  for (const row of ticked)
    if (row.mark === undefined) {
      row.mark = 0;
      while (used.has(row.mark)) row.mark += 1;
      used.add(row.mark);
    }
  for (const row of rows) {
    const on = ticked.includes(row);
    if (!on) delete row.mark;
    row.classList.toggle("ticked", on);
    const swatch = row.querySelector(".swatch");
    if (swatch) swatch.style.background = on ? styleOf(row.mark).color : "";
  }
}

/** Ticks of a logarithmic axis at 1, 2 and 5 of each decade; the library's own leave out the zeros. */
function decades(values) {
  const shown = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...shown), Math.max(...shown)].map((value) => Math.floor(Math.log10(value)));
  const steps = high - low < 3 ? [1, 2, 5] : [1];
  const tickvals = [];
  for (let power = low; power <= high; power++) tickvals.push(...steps.map((step) => step * 10 ** power));
  return { tickvals, ticktext: tickvals.map((value) => String(Number(value.toPrecision(1)))) };
}

/** The figure of all ticked runs of a kind: a plot for each title, over one axis. */
function laidOver(chosen, kind) {
  const axis = axes[kind];
  const plots = new Map();
  for (const row of chosen)
    for (const curve of courses.get(row.dataset.run).rows) {
      if (hiddenGroups.has(`${kind} ${curve.group}`)) continue;
      if (!plots.has(curve.title)) plots.set(curve.title, []);
      plots.get(curve.title).push({ row, curve });
    }
  const count = Math.max(plots.size, 1);
  const height = count * ROW + MARGIN.t + MARGIN.b;
  const share = 1 / count;
  const gap = 26 / (count * ROW);
  const layout = {
    height, margin: MARGIN, hovermode: "x", showlegend: false, annotations: [],
    xaxis: { title: { text: axis }, anchor: `y${count > 1 ? count : ""}` },
  };
  const data = [];
  [...plots].forEach(([title, members], place) => {
    const id = place ? String(place + 1) : "";
    const top = 1 - place * share;
    const values = members.flatMap(({ curve }) => curve.y).filter((value) => value !== null);
    const log = members.every(({ curve }) => curve.log) && values.every((value) => value > 0);
    layout[`yaxis${id}`] = {
      domain: [Math.max(top - share + (place + 1 < count ? gap : 0), 0), top],
      ...(log ? { type: "log", ...decades(members.flatMap(({ curve }) => [...curve.y, ...(curve.raw ?? [])])) } : {}),
    };
    layout.annotations.push({
      text: plainText(title), xref: "paper", yref: "paper", x: 0, y: top, showarrow: false,
      xanchor: "left", yanchor: "bottom", font: { size: 12.5 },
    });
    for (const { row, curve } of members) {
      const style = styleOf(row.mark);
      const shared = { x: courses.get(row.dataset.run).x[axis], type: "scatter", mode: "lines", xaxis: "x", yaxis: `y${id}` };
      if (curve.target)
        data.push({
          ...shared, y: curve.target, name: "target", hoverinfo: "skip", opacity: 0.6,
          line: { color: style.color, width: 1, dash: "dot" },
        });
      if (curve.raw)
        data.push({
          ...shared, y: curve.raw, name: "raw", hoverinfo: "skip", opacity: 0.3,
          line: { color: style.color, width: 0.8 },
        });
      data.push({
        ...shared, y: curve.y, name: plainText(row.dataset.name), line: { ...style, width: 1.6 },
        hovertemplate: "%{y:.4g}<extra>%{fullData.name}</extra>",
      });
    }
  });
  return { data, layout };
}

/** Checkboxes for the groups of curves, and radio buttons for what they are drawn over. */
function addChoices(section, kind, course) {
  const tools = section.querySelector(".tools");
  const choose = (legend, type, names, isOn, change) => {
    const set = document.createElement("fieldset");
    set.innerHTML = `<legend>${legend}</legend>`;
    for (const name of names) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type, name: `${kind} ${legend}`, value: name, checked: isOn(name) });
      input.addEventListener("change", () => { change(name, input.checked); show(); });
      label.append(input, name);
      set.append(label);
    }
    tools.append(set);
  };
  const names = Object.keys(course.x);
  axes[kind] = names[0];
  if (names.length > 1) choose("over", "radio", names, (name) => name === axes[kind], (name) => { axes[kind] = name; });
  const groups = [...new Set(course.rows.map((row) => row.group))];
  choose("show", "checkbox", groups, () => true, (name, on) => {
    hiddenGroups[on ? "delete" : "add"](`${kind} ${name}`);
  });
}

let showing = Promise.resolve();
/** Draws what is ticked, one call after the other. */
function show() {
  showing = showing.then(async () => {
    paint();
    const names = ticked.map((row) => ["run", row.dataset.name]);
    history.replaceState(null, "", names.length ? `#${new URLSearchParams(names)}` : location.pathname);
    await drawn;
    for (const section of document.querySelectorAll("[data-compare]")) {
      const kind = section.dataset.compare;
      const chosen = ticked.filter((row) => row.dataset.kind === kind);
      section.hidden = !chosen.length;
      const place = section.querySelector(".plot");
      if (!chosen.length) {
        Plotly.purge(place);
        continue;
      }
      for (const row of chosen)
        if (!courses.has(row.dataset.run)) courses.set(row.dataset.run, JSON.parse(await unpack(row.dataset.run)));
      if (!axes[kind]) addChoices(section, kind, courses.get(chosen[0].dataset.run));
      section.querySelector(".keys").replaceChildren(...chosen.map(key));
      const { data, layout } = laidOver(chosen, kind);
      place.style.height = `${layout.height}px`;
      await Plotly.react(place, data, themed(layout), { responsive: true, displayModeBar: false });
    }
    document.getElementById("untick").disabled = !ticked.length;
    document.getElementById("count").value = ticked.length ? `${ticked.length} ticked` : "tick two or more";
    document.body.dataset.compared = names.length;
  });
}

/** Color, name and error of a ticked run, above the plots. */
function key(row) {
  const item = document.createElement("span");
  const line = document.createElement("span");
  const { color, dash } = styleOf(row.mark);
  line.className = "key";
  line.style.borderColor = color;
  line.style.borderTopStyle = dash === "solid" ? "solid" : dash === "dot" ? "dotted" : "dashed";
  const error = row.dataset.error ? `, ${row.dataset.error} cm` : "";
  item.append(line, `${row.dataset.name}${error}`);
  return item;
}

function tick(row, on) {
  const place = ticked.indexOf(row);
  if (on && place < 0) ticked.push(row);
  if (!on && place >= 0) ticked.splice(place, 1);
  box(row).checked = on;
}

function tickFromAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  const names = location.hash ? address.getAll("run") : json("over");
  for (const row of rows) if (box(row)) tick(row, false);
  for (const name of names) {
    const row = rows.find((other) => other.dataset.name === name && box(other));
    if (row) tick(row, true);
  }
  show();
}

function sortBy(head) {
  const column = head.cellIndex;
  const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of list.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  const sign = way === "ascending" ? 1 : -1;
  const value = (row) => row.cells[column].dataset.value;
  const compare = head.dataset.numeric === undefined
    ? (a, b) => a.localeCompare(b, undefined, { numeric: true })
    : (a, b) => a - b;
  const sorted = [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // what is not known comes last
    return sign * compare(x, y);
  });
  list.tBodies[0].append(...sorted);
}

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = document.getElementById("kind").value;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = (kind && row.dataset.kind !== kind) || !words.every((word) => text.includes(word));
  }
  document.getElementById("shown").value = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
}

for (const row of rows) box(row)?.addEventListener("change", () => { tick(row, box(row).checked); show(); });
for (const head of list.tHead.rows[0].cells)
  head.querySelector("button")?.addEventListener("click", () => sortBy(head));
document.getElementById("filter").addEventListener("input", filter);
document.getElementById("kind").addEventListener("change", filter);
document.getElementById("untick").addEventListener("click", () => { [...ticked].forEach((row) => tick(row, false)); show(); });
addEventListener("hashchange", tickFromAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
filter();
tickFromAddress();
