// Which models are shown: ticked boxes and the filter, the same for every part of a board.

function startFilter() {
  const input = document.getElementById("filter");
  const chips = [...document.querySelectorAll("[data-chip]")];
  const count = document.getElementById("count");
  const boxOf = (chip) => chip.querySelector("input");

  input.addEventListener("input", () => {
    state.filter = input.value.trim().toLowerCase();
    changed("models");
    changed("highlight");
  });
  for (const chip of chips) {
    boxOf(chip).addEventListener("change", () => {
      if (boxOf(chip).checked) state.hidden.delete(chip.dataset.chip);
      else state.hidden.add(chip.dataset.chip);
      changed("models");
      changed("highlight");
    });
  }
  for (const button of document.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => {
      for (const chip of chips) {
        const { show } = button.dataset;
        boxOf(chip).checked = show === "all" || page.models[chip.dataset.chip].role === show;
        if (boxOf(chip).checked) state.hidden.delete(chip.dataset.chip);
        else state.hidden.add(chip.dataset.chip);
      }
      changed("models");
      changed("highlight");
    });
  }

  on("models", () => {
    const here = new Set([...openBoard().querySelectorAll("table.scores tr[data-model]")].map((row) => row.dataset.model));
    let shown = 0;
    for (const chip of chips) {
      const model = chip.dataset.chip;
      chip.hidden = !here.has(model) || !matchesFilter(model);
      if (here.has(model) && isShown(model)) shown += 1;
    }
    const text = `${shown} of ${here.size} models shown`;
    if (count.textContent !== text) count.textContent = text;
    for (const row of openBoard().querySelectorAll("tr[data-model]")) row.hidden = !isShown(row.dataset.model);
    for (const cell of openBoard().querySelectorAll("th[data-model], td[data-other]")) {
      cell.hidden = !isShown(cell.dataset.model ?? cell.dataset.other);
    }
  });
}

/** Whatever belongs to a model highlights it everywhere, under the pointer, with the focus, or pinned. */
function startHighlight() {
  const modelAt = (target) => (target instanceof Element ? target.closest("[data-model]")?.dataset.model ?? null : null);
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch" && !event.target.closest?.(".chart")) point(modelAt(event.target));
  });
  document.addEventListener("focusin", (event) => point(modelAt(event.target)));
  document.addEventListener("focusout", (event) => {
    if (!event.relatedTarget) point(null);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".pin");
    if (button) pin(modelAt(button));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.pinned !== null) pin(state.pinned);
  });
  on("highlight", () => {
    const lit = highlighted();
    document.body.classList.toggle("has-lit", lit !== null);
    for (const element of document.querySelectorAll(".lit")) {
      if (element.dataset.model !== lit) element.classList.remove("lit");
    }
    if (lit !== null) {
      for (const root of [openBoard(), document.querySelector(".chips")]) {
        for (const element of root.querySelectorAll(`[data-model="${lit}"]`)) element.classList.add("lit");
      }
    }
    for (const button of openBoard().querySelectorAll(".pin")) {
      button.setAttribute("aria-pressed", String(modelAt(button) === state.pinned));
    }
  });
}
