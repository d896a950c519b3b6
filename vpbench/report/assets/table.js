// The table of scores: sorting by any column, columns that come and go, limits instead of half-widths.

const SORTED = { ascending: "smallest first", descending: "largest first" };
const NEAREST = { ascending: "nearest to the ideal first", descending: "farthest from the ideal first" };

function startTables() {
  for (const board of document.querySelectorAll(".board")) {
    const table = board.querySelector("table.scores");
    if (!table) continue;
    for (const button of table.querySelectorAll(".sort")) {
      button.addEventListener("click", () => sortBy(board, table, button.closest("th")));
    }
    board.querySelector(".show-limits").addEventListener("change", (event) => {
      table.classList.toggle("with-limits", event.target.checked);
    });
    startColumns(board);
  }
}

/** Best first; asked again, the other way round. What has no value comes last both ways. */
function sortBy(board, table, header) {
  const best = header.dataset.best;
  const first = best === "higher" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  const index = header.cellIndex;
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => {
    const cell = row.cells[index];
    if (best === "text") return page.models[row.dataset.model].label;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => {
    const [one, two] = [value(a), value(b)];
    if (one === null || two === null) return (one === null) - (two === null) || a.dataset.order - b.dataset.order;
    const difference = best === "text" ? one.localeCompare(two, "en") : one - two;
    return sign * difference || a.dataset.order - b.dataset.order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  const name = header.querySelector("bdi")?.textContent ?? header.textContent.trim();
  const how = { text: { ascending: "from A to Z", descending: "from Z to A" }, nearest: NEAREST }[best] ?? SORTED;
  board.querySelector("[data-says=sort]").textContent = `Sorted by ${name}, ${how[order]}`;
}

function startColumns(board) {
  const apply = () => {
    for (const box of board.querySelectorAll(".toggle-column")) {
      for (const cell of board.querySelectorAll(`table.scores [data-column="${box.value}"]`)) cell.hidden = !box.checked;
    }
    for (const group of board.querySelectorAll("table.scores [data-group]")) {
      const shown = group.dataset.group.split(" ").filter((column) => columnIsShown(board, column)).length;
      const span = shown + Number(group.dataset.extra ?? 0);
      group.hidden = span === 0;
      if (span) group.colSpan = span;
    }
    for (const set of board.querySelectorAll(".columns fieldset")) {
      const boxes = [...set.querySelectorAll(".toggle-column")];
      const all = set.querySelector(".toggle-group");
      all.checked = boxes.every((box) => box.checked);
      all.indeterminate = !all.checked && boxes.some((box) => box.checked);
    }
  };
  for (const box of board.querySelectorAll(".toggle-column")) {
    box.addEventListener("change", () => {
      apply();
      changed("columns");
    });
  }
  for (const all of board.querySelectorAll(".toggle-group")) {
    all.addEventListener("change", () => {
      for (const box of all.closest("fieldset").querySelectorAll(".toggle-column")) box.checked = all.checked;
      apply();
      changed("columns");
    });
  }
  apply();
}
