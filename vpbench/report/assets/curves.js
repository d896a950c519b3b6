// A chart per metric, with bands; all charts of a board stand at one step and show one highlighted model.

const Z = 1.96;
let charts = new Map(); // board id -> its charts

function startCurves() {
  charts = chartsOfBoards(makeCharts);
  on("columns", () => {
    show(openBoard(), charts.get(state.board) ?? []);
    tellStep(openBoard());
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
  startShown(made);
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
  const lines = new Set();
  for (const line of curve.lines) {
    const { model } = line;
    const edge = (sign) => padded(line.value.map((value, i) => (value === null || line.stderr[i] === null ? null : value + sign * Z * line.stderr[i])));
    const invisible = { stroke: "transparent", width: 0, points: { show: false }, pxAlign: 0 };
    bands.push({
      series: [data.length, data.length + 1],
      fill: () => translucent(strokeOf(model), highlighted() === model ? 0.28 : 0.14),
    });
    data.push(edge(1), edge(-1), padded(line.value));
    const single = { points: { show: line.value.length === 1, size: 7, fill: () => strokeOf(model) } };
    series.push({ ...invisible }, { ...invisible }, lineOf(model, single));
    owners.push(model, model, model);
    lines.add(series.length - 1);
  }
  const { figure, readout, room } = makeFigure(titleOf(curve), curve.column, spoken(curve));
  const tell = (step) => {
    const told = curve.lines.filter((line) => line.model === highlighted());
    const values = told.map((line) => valueAt(line, step)).join(", ");
    readout.textContent = told.length ? `${page.models[told[0].model].label} at step ${step}: ${values}` : "";
  };
  const chart = makePlot({
    ...{ figure, room, data, series, bands, owners, lines },
    x: { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], label: "step" },
    moved: (index) => goToStep(board, x[index]),
    tell: () => tell(Number(board.querySelector(".step").value)),
  });
  chart.column = curve.column;
  chart.stand = (step) => {
    tell(step);
    if (chart.plot && !room.matches(":hover")) chart.plot.setCursor({ left: chart.plot.valToPos(step, "x"), top: 0 }, false);
  };
  return chart;
}
