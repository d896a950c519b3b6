// One board at a time: the one that the address names, else the one the page was written to open.

function startSwitch() {
  const links = [...document.querySelectorAll("[data-board]")];
  const boards = [...document.querySelectorAll(".board")];
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const wanted = target?.closest(".board") ?? (state.board ? openBoard() : document.getElementById(page.first));
    if (!wanted || wanted.id === state.board) return;
    state.board = wanted.id;
    state.pointed = null;
    for (const board of boards) board.classList.toggle("open", board === wanted);
    for (const link of links) {
      if (link.dataset.board === wanted.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    changed("board");
    changed("models");
    changed("highlight");
  };
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      // The switch stays where it is: boards are compared by going to and fro.
      history.replaceState(null, "", link.hash);
      open();
    });
  }
  addEventListener("hashchange", open);
  open();
  keepClear(document.querySelector(".switch"));
}

/** What is gone to comes to rest below the bar, however many lines its boards take. */
function keepClear(bar) {
  const root = document.documentElement;
  new ResizeObserver(() => {
    const stays = getComputedStyle(bar).position === "sticky";
    root.style.scrollPaddingTop = stays ? `${bar.offsetHeight + 16}px` : "";
  }).observe(bar);
}
