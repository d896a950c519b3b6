// What all charts have in common: how they look, and how they follow what is shown, highlighted and coloured.

/** Charts by board: made when their board is first opened, told of every change while it is open. */
function chartsOfBoards(makeAll) {
  const made = new Map();
  const all = () => made.get(state.board) ?? [];
  on("board", () => {
    if (!made.has(state.board)) made.set(state.board, makeAll(openBoard()));
  });
  on("models", () => {
    for (const chart of all()) chart.showModels();
  });
  on("highlight", () => {
    for (const chart of all()) chart.redraw();
  });
  on("theme", () => {
    for (const each of made.values()) for (const chart of each) chart.recolour();
  });
  return made;
}

/** Draws the figures that are not hidden and were not drawn before. */
function startShown(made) {
  const waiting = made.filter((chart) => !chart.plot && !chart.figure.hidden);
  const widths = waiting.map((chart) => chart.room.clientWidth); // all at once: reading makes the browser lay out
  waiting.forEach((chart, index) => chart.start(widths[index]));
}

/** A figure with a title, a line of text for what is pointed at, and room for the chart. */
function makeFigure(title, key, spoken) {
  const readout = make("span", { class: "readout" });
  const room = make("div", { class: "chart", role: "img", "aria-label": spoken });
  const figure = make("figure", { class: "chart-figure", "data-chart": key }, [make("figcaption", {}, [title, readout]), room]);
  return { figure, readout, room };
}

function strokeOf(model) {
  return colourOf(`line-${page.models[model].colour}`);
}

function widthOf(model) {
  return page.models[model].role === "contender" ? 2 : 1.5;
}

/** The line of a model, as it is drawn in every chart. */
function lineOf(model, more = {}) {
  return { stroke: () => strokeOf(model), width: widthOf(model), dash: page.models[model].dash, pxAlign: 0, ...more };
}

/**
 * A chart of uPlot that is drawn when it is started.
 * owners: the model of each series, null for the first one, which is x
 * lines: the numbers of the series that are lines, and not edges of bands
 * x: more options of the x axis; height, right: its height and right margin in pixels
 * cursor: more options of the cursor
 * moved: what to do when the pointer moves over it; tell: says what is highlighted
 */
function makePlot({ figure, room, data, series, bands = [], owners, lines, x, height = 220, right = 10, cursor = {}, moved, tell }) {
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
    height,
    legend: { show: false },
    focus: { alpha: 1 },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, focus: { prox: 16 }, ...cursor },
    scales: { x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) } },
    axes: [axis(26, { space: 50, labelSize: 14, labelFont: font, labelGap: -4, ...x }), axis(52, { space: 34 })],
    padding: [8, right, 0, 0],
    series,
    bands,
    hooks: {
      setSeries: [(_, index, change) => {
        if (change.focus && room.matches(":hover")) point(owners[index] ?? null);
      }],
      setCursor: [(self) => {
        if (self.cursor.idx !== null && self.cursor.idx !== undefined && room.matches(":hover")) moved(self.cursor.idx);
      }],
    },
  });
  const draw = () => {
    dirty = false;
    const lit = highlighted();
    series.forEach((_, index) => {
      if (index) plot.series[index].alpha = lit === null || owners[index] === lit ? 1 : 0.18;
      if (lines.has(index)) plot.series[index].width = widthOf(owners[index]) + (owners[index] === lit ? 1.25 : 0);
    });
    plot.redraw(false, false);
    tell();
  };
  return {
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
        if (room.clientWidth && room.clientWidth !== plot.width) plot.setSize({ width: room.clientWidth, height });
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
      if (plot && visible) draw();
    },
    recolour() {
      plot?.redraw(true, true);
    },
  };
}

/** The colour "rgb(r, g, b)" with some of it gone. */
function translucent(colour, alpha) {
  return colour.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}
