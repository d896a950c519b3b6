// A chart per metric, with bands; all charts of a board stand at one step and show one highlighted model.

const Z = 1.96;
const charts = new Map(); // board id -> its charts

function startCurves() {
  on("board", () => {
    if (!charts.has(state.board)) charts.set(state.board, makeCharts(openBoard()));
  });
  const all = () => charts.get(state.board) ?? [];
  on("models", () => {
    for (const chart of all()) chart.showModels();
  });
  on("columns", () => {
    show(openBoard(), all());
    tellStep(openBoard());
  });
  on("highlight", () => {
    for (const chart of all()) chart.redraw();
  });
  on("theme", () => {
    for (const each of charts.values()) for (const chart of each) chart.recolour();
  });
}

function makeCharts(board) {
  const { curves, withoutCurves } = page.boards[board.id];
  const part = board.querySelector(".curves-part");
  if (!part) return [];
  if (!curves.length) {
    part.replaceChildren(part.querySelector("h3"), make("p", { text: "These records hold no scores per step." }));
    return [];
  }
  if (withoutCurves.length) {
    const text = `Not drawn, as scored on other clips than this board compares: ${withoutCurves.join(", ")}.`;
    part.querySelector(".charts").before(make("p", { class: "explain", text }));
  }
  const steps = Math.max(...curves.flatMap((curve) => curve.lines.map((line) => line.value.length)));
  const slider = part.querySelector(".step");
  slider.max = steps;
  const made = curves.map((curve) => makeChart(board, curve, steps));
  part.querySelector(".charts").append(...made.map((chart) => chart.figure));
  slider.addEventListener("input", () => goToStep(board, Number(slider.value)));
  part.querySelector(".at-step").addEventListener("toggle", () => tellStep(board));
  show(board, made);
  return made;
}

/** Charts of the columns that are shown; one is drawn when it is first shown. */
function show(board, made) {
  for (const chart of made) chart.figure.hidden = !columnIsShown(board, chart.column);
  const waiting = made.filter((chart) => !chart.plot && !chart.figure.hidden);
  const widths = waiting.map((chart) => chart.room.clientWidth); // all at once: reading makes the browser lay out
  waiting.forEach((chart, index) => chart.start(widths[index]));
}

const goToStep = oncePerFrame((board, step) => {
  const slider = board.querySelector(".step");
  slider.value = step;
  for (const place of board.querySelectorAll(".step-value")) place.textContent = step;
  for (const chart of charts.get(board.id) ?? []) chart.stand(step);
  tellStep(board);
});

/** The same numbers as a table, for whoever does not see or use the charts. */
function tellStep(board) {
  const details = board?.querySelector(".at-step");
  if (!details?.open) return;
  const step = Number(board.querySelector(".step").value);
  const curves = page.boards[board.id].curves.filter((curve) => columnIsShown(board, curve.column));
  const models = [...new Set(curves.flatMap((curve) => curve.lines.map((line) => line.model)))].filter(isShown);
  const head = curves.map((curve) => make("th", { scope: "col", class: "num" }, [titleOf(curve)]));
  const rows = models.map((model) => {
    const cells = curves.map((curve) => {
      const lines = curve.lines.filter((line) => line.model === model);
      return make("td", { class: "num", text: lines.map((line) => valueAt(line, step)).join(", ") || "–" });
    });
    return make("tr", { "data-model": model }, [make("th", { scope: "row" }, [nameOf(model)]), ...cells]);
  });
  board.querySelector(".step-table").replaceChildren(
    make("thead", {}, [make("tr", {}, [make("th", { scope: "col", text: "model" }), ...head])]),
    make("tbody", {}, rows),
  );
}

function titleOf(curve) {
  return make("span", {}, [
    make("bdi", { text: curve.title }),
    make("span", { class: "unit", text: `${curve.unit ? ` (${curve.unit})` : ""} ${curve.arrow}` }),
  ]);
}

/** Value and half-width of the band at a step: "15.91 ± 0.07". */
function valueAt(line, step) {
  const value = line.value[step - 1];
  const stderr = line.stderr[step - 1];
  if (value === null || value === undefined) return "–";
  if (!stderr) return Number(value.toPrecision(4)).toString();
  const half = Z * stderr;
  const decimals = Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(half))));
  return `${value.toFixed(decimals)} ± ${half.toFixed(decimals)}`;
}

/** What somebody hears who cannot see the chart. */
function spoken(curve) {
  const said = curve.lines.slice(0, 12).map((line) => {
    const last = line.value.length;
    return `${page.models[line.model].label} ${valueAt(line, 1)} at step 1, ${valueAt(line, last)} at step ${last}`;
  });
  const more = curve.lines.length > 12 ? `; and ${curve.lines.length - 12} more` : "";
  return `${curve.title} per step: ${said.join("; ")}${more}. The table below has every step.`;
}

function makeChart(board, curve, steps) {
  const x = Array.from({ length: steps }, (_, index) => index + 1);
  const padded = (values) => x.map((_, index) => values[index] ?? null);
  const data = [x];
  const series = [{}];
  const bands = [];
  const owners = [null]; // model of each series
  const stroke = (model) => colourOf(`line-${page.models[model].colour}`);
  for (const line of curve.lines) {
    const { model } = line;
    const edge = (sign) => padded(line.value.map((value, i) => (value === null || line.stderr[i] === null ? null : value + sign * Z * line.stderr[i])));
    const invisible = { stroke: "transparent", width: 0, points: { show: false }, pxAlign: 0 };
    bands.push({
      series: [data.length, data.length + 1],
      fill: () => translucent(stroke(model), isLit(model) ? 0.28 : 0.14),
    });
    data.push(edge(1), edge(-1), padded(line.value));
    series.push(
      { ...invisible },
      { ...invisible },
      {
        stroke: () => stroke(model),
        width: page.models[model].role === "contender" ? 2 : 1.5,
        dash: page.models[model].dash,
        points: { show: line.value.length === 1, size: 7, fill: () => stroke(model) },
        pxAlign: 0,
      },
    );
    owners.push(model, model, model);
  }
  const isLit = (model) => highlighted() === model;

  const title = make("figcaption", {}, [titleOf(curve)]);
  const readout = make("span", { class: "readout" });
  title.append(readout);
  const room = make("div", { class: "chart", role: "img", "aria-label": spoken(curve) });
  const figure = make("figure", { class: "chart-figure", "data-chart": curve.column }, [title, room]);
  let plot = null;
  let dirty = false;
  let visible = false;

  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = (size, extra) => ({
    stroke: () => colourOf("muted"),
    grid: { stroke: () => colourOf("grid"), width: 1 },
    ticks: { show: false },
    font,
    size,
    ...extra,
  });
  const options = (width) => ({
    width,
    height: 220,
    legend: { show: false },
    focus: { alpha: 1 },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, focus: { prox: 16 } },
    scales: { x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) } },
    axes: [
      axis(26, { space: 50, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], label: "step", labelSize: 14, labelFont: font, labelGap: -4 }),
      axis(52, { space: 34 }),
    ],
    padding: [8, 10, 0, 0],
    series,
    bands,
    hooks: {
      setSeries: [(_, index, change) => {
        if (change.focus && room.matches(":hover")) point(owners[index] ?? null);
      }],
      setCursor: [(self) => {
        if (self.cursor.idx !== null && self.cursor.idx !== undefined && room.matches(":hover")) goToStep(board, x[self.cursor.idx]);
      }],
    },
  });

  const tell = (step) => {
    const lines = curve.lines.filter((line) => line.model === highlighted());
    const values = lines.map((line) => valueAt(line, step)).join(", ");
    readout.textContent = lines.length ? `${page.models[lines[0].model].label} at step ${step}: ${values}` : "";
  };
  const draw = () => {
    dirty = false;
    const lit = highlighted();
    series.forEach((_, index) => {
      if (index) plot.series[index].alpha = lit === null || owners[index] === lit ? 1 : 0.18;
      if (index && index % 3 === 0) {
        const normal = page.models[owners[index]].role === "contender" ? 2 : 1.5;
        plot.series[index].width = owners[index] === lit ? normal + 1.25 : normal;
      }
    });
    plot.redraw(false, false);
    tell(Number(board.querySelector(".step").value));
  };
  return {
    column: curve.column,
    figure,
    room,
    get plot() {
      return plot;
    },
    start(width) {
      plot = new uPlot(options(Math.max(width, 200)), data, room);
      this.showModels();
      room.addEventListener("pointerleave", () => point(null));
      new ResizeObserver(() => {
        if (room.clientWidth && room.clientWidth !== plot.width) plot.setSize({ width: room.clientWidth, height: 220 });
      }).observe(room);
      new IntersectionObserver((entries) => {
        visible = entries.at(-1).isIntersecting; // the newest: several may come at once
        if (visible && dirty) draw();
      }).observe(figure);
    },
    showModels() {
      plot?.batch(() => {
        owners.forEach((model, index) => {
          if (model !== null && plot.series[index].show !== isShown(model)) plot.setSeries(index, { show: isShown(model) });
        });
      });
    },
    redraw() {
      dirty = true;
      if (visible) draw();
    },
    recolour() {
      plot?.redraw(true, true);
    },
    stand(step) {
      tell(step);
      if (plot && !room.matches(":hover")) plot.setCursor({ left: plot.valToPos(step, "x"), top: 0 }, false);
    },
  };
}

/** The colour "rgb(r, g, b)" with some of it gone. */
function translucent(colour, alpha) {
  return colour.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}
