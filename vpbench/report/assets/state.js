// What is shown and what is highlighted: one state for all tables, charts and clips, and who wants to hear of changes.

const page = JSON.parse(document.getElementById("data").textContent);

const state = {
  board: null, // id of the board that is open
  hidden: new Set(), // models whose box is not ticked
  filter: "",
  pinned: null, // model that stays highlighted
  pointed: null, // model under the pointer or the focus
};

const listeners = { board: [], models: [], highlight: [], columns: [], theme: [] };

function on(what, listener) {
  listeners[what].push(listener);
}

function changed(what) {
  for (const listener of listeners[what]) listener();
}

function matchesFilter(model) {
  const { label, role } = page.models[model];
  return `${label} ${role}`.toLowerCase().includes(state.filter);
}

function isShown(model) {
  return !state.hidden.has(model) && matchesFilter(model);
}

function highlighted() {
  const model = state.pointed ?? state.pinned;
  return model !== null && isShown(model) ? model : null;
}

function point(model) {
  if (state.pointed === model) return;
  state.pointed = model;
  changed("highlight");
}

function pin(model) {
  state.pinned = state.pinned === model ? null : model;
  changed("highlight");
}

function openBoard() {
  return document.getElementById(state.board);
}

function columnIsShown(board, column) {
  const box = board.querySelector(`.toggle-column[value="${column}"]`);
  return box === null || box.checked;
}

/** A function that runs once per frame at most, with the arguments of its last call. */
function oncePerFrame(action) {
  let waiting = null;
  return (...given) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        const last = waiting;
        waiting = null;
        action(...last);
      });
    }
    waiting = given;
  };
}

/** An element with text, never markup. */
function make(tag, { text, ...properties } = {}, children = []) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The model's name, kept apart from the text around it whatever its direction of writing. */
function nameOf(model) {
  return make("bdi", { text: page.models[model].label });
}
