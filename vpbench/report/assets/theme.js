// Light and dark: as the system says, unless the reader says otherwise. The choice is remembered where that is allowed.

const THEME = "vpbench-theme";

const colours = new Map(); // of the present theme

/** What a colour of the style sheet comes to under the present theme, as canvases need it: "rgb(r, g, b)". */
function colourOf(name) {
  if (!colours.has(name)) {
    const probe = make("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

function themeChanged() {
  colours.clear();
  changed("theme");
}

function setTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  themeChanged();
}

function remembered() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // a page opened from a file may not be allowed to remember
  }
}

function startTheme() {
  const boxes = [...document.querySelectorAll("input[name=theme]")];
  const chosen = boxes.find((box) => box.value === remembered());
  if (chosen) {
    chosen.checked = true;
    setTheme(chosen.value);
  }
  for (const box of boxes) {
    box.addEventListener("change", () => {
      setTheme(box.value);
      try {
        localStorage.setItem(THEME, box.value);
      } catch {
        // not remembered then
      }
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);
}
