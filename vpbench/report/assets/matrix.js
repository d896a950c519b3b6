// The matrix of differences: one stop of the Tab key, arrow keys inside, and a sentence about the cell one is at.

function startMatrices() {
  for (const part of document.querySelectorAll(".matrix-part")) {
    const table = part.querySelector("table.matrix");
    const says = part.querySelector("[data-says=pair]");
    const cells = () => [...table.tBodies[0].rows].filter((row) => !row.hidden)
      .map((row) => [...row.querySelectorAll("td")].filter((cell) => !cell.hidden));
    const tell = (cell) => {
      if (cell?.dataset.sentence) says.textContent = cell.dataset.sentence;
    };
    const first = table.querySelector(".verdict-better, .verdict-worse, .verdict-tie") ?? table.querySelector("td[data-sentence]");
    first.tabIndex = 0;
    tell(first);
    table.addEventListener("pointerover", (event) => tell(event.target.closest("td")));
    table.addEventListener("focusin", (event) => tell(event.target.closest("td")));
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("td[data-sentence]");
      if (cell) moveTo(table, cell);
    });
    table.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const move = moves[event.key];
      const here = event.target.closest("td");
      if (!move || !here) return;
      event.preventDefault();
      const grid = cells();
      let row = grid.findIndex((line) => line.includes(here));
      let column = grid[row].indexOf(here);
      do {
        row += move[0];
        column += move[1];
      } while (grid[row]?.[column] && !grid[row][column].dataset.sentence); // over the diagonal
      const next = grid[row]?.[column];
      if (next) moveTo(table, next);
    });
    on("models", () => {
      const stop = table.querySelector("td[tabindex='0']");
      if (stop && (stop.hidden || stop.parentElement.hidden)) {
        const next = cells().flat().find((cell) => cell.dataset.sentence);
        if (next) moveTo(table, next, { focus: false });
      }
    });
  }
}

function moveTo(table, cell, { focus = true } = {}) {
  table.querySelector("td[tabindex='0']")?.removeAttribute("tabindex");
  cell.tabIndex = 0;
  if (focus) cell.focus();
}
