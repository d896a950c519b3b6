// Budget curves: the score on the val split while a model was trained, over what had been spent by then.

const SPENT = {
  sequences: { label: "sequences seen", text: (value) => `${shortNumber(value)} sequences`, incrs: decades([1, 2, 5], 12) },
  seconds: {
    label: "time spent",
    text: duration,
    incrs: [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, ...decades([3600, 7200, 18000], 6)],
  },
};

function startTraining() {
  chartsOfBoards((board) => {
    const part = board.querySelector(".training-part");
    if (!part) return [];
    const made = page.boards[board.id].training.flatMap((chart, index) => [
      makeBudgetChart(chart, "sequences", index),
      makeBudgetChart(chart, "seconds", index),
    ]);
    const charts = made.filter((chart) => chart !== null);
    part.querySelector(".charts").append(...charts.map((chart) => chart.figure));
    startShown(charts);
    return charts;
  });
}

/** 1, 2, 5, 10, 20, 50, .. */
function decades(steps, count) {
  return Array.from({ length: count }, (_, power) => steps.map((step) => step * 10 ** power)).flat();
}

function shortNumber(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return `${Number(value.toPrecision(3))}`;
}

function duration(value) {
  for (const [unit, size] of [["h", 3600], ["min", 60]]) {
    if (value >= size) return `${Number((value / size).toPrecision(2))} ${unit}`;
  }
  return `${Number(value.toPrecision(2))} s`;
}

/** The chart over sequences or seconds; null where no training says its seconds. */
function makeBudgetChart(chart, kind, index) {
  const { label, text, incrs } = SPENT[kind];
  const drawn = chart.lines.filter((line) => line[kind] !== null);
  if (!drawn.length) return null;
  const x = [...new Set([0, ...drawn.flatMap((line) => line[kind])])].sort((a, b) => a - b);
  const at = new Map(x.map((value, place) => [value, place]));
  const data = [x];
  const series = [{}];
  for (const line of drawn) {
    const values = Array(x.length).fill(null);
    line[kind].forEach((spent, place) => (values[at.get(spent)] = line.psnr[place]));
    data.push(values);
    series.push(lineOf(line.model, { spanGaps: true, points: { show: true, size: 4, fill: () => strokeOf(line.model) } }));
  }
  const score = (line, place) => `${line.psnr[place].toFixed(2)} dB after ${text(line[kind][place])}`;
  const said = drawn.slice(0, 12).map((line) => `${line.label} ${score(line, line.psnr.length - 1)}`);
  const more = drawn.length > 12 ? `; and ${drawn.length - 12} more` : "";
  const title = make("span", {}, [
    make("span", { text: `Over ${kind}` }),
    make("span", { class: "unit" }, [" validation PSNR (dB) ↑, ", make("bdi", { text: chart.title })]),
  ]);
  const spoken = `${chart.title}, validation PSNR over ${label}: ${said.join("; ")}${more}. The tables below have more.`;
  const { figure, readout, room } = makeFigure(title, `training-${index}-${kind}`, spoken);
  let pointed = null; // where on the x axis
  const tell = () => {
    const told = drawn.filter((line) => line.model === highlighted());
    readout.textContent = told.map((line) => `${line.label}: ${score(line, nearest(line[kind], pointed))}`).join("; ");
  };
  room.addEventListener("pointerleave", () => (pointed = null));
  return makePlot({
    ...{ figure, room, data, series, tell, height: 300, right: 22 },
    owners: [null, ...drawn.map((line) => line.model)],
    lines: new Set(drawn.map((_, place) => place + 1)),
    x: { incrs, label, values: (_, splits) => splits.map((value) => (value ? (kind === "seconds" ? text(value) : shortNumber(value)) : "0")) },
    cursor: { hover: { skip: [null, undefined] } },
    moved: (place) => {
      pointed = x[place];
      tell();
    },
  });
}

/** The place of the value nearest to x; of the last one where there is no x. */
function nearest(values, x) {
  if (x === null) return values.length - 1;
  return values.reduce((best, value, place) => (Math.abs(value - x) < Math.abs(values[best] - x) ? place : best), 0);
}
