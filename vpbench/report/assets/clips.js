// Clips side by side: truth, every model and its difference from the truth, all at one frame.

const SHEETS = document.getElementById("sheets");
let sheets = null; // read when first wanted: they are most of the page
const decoded = new Map(); // number of a sheet -> promise of its frames

const REASONS = {
  fixed: () => "shown for every model",
  best: (models) => `best of ${models}`,
  median: (models) => `median of ${models}`,
  worst: (models) => `worst of ${models}`,
};

/** The frames of a sheet: {width, height, count, pixels(k)}, pixels as RGBA. */
function framesOf(number) {
  sheets ??= JSON.parse(SHEETS.textContent);
  if (!decoded.has(number)) {
    const sheet = sheets[number];
    const image = new Image();
    image.src = sheet.image;
    decoded.set(number, image.decode().then(() => {
      const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      const { width, height, columns, frames } = sheet;
      const pixels = (k) => context.getImageData((k % columns) * width, Math.floor(k / columns) * height, width, height);
      return { width, height, count: frames, pixels };
    }));
  }
  return decoded.get(number);
}

function startClips() {
  on("board", () => {
    const board = openBoard();
    const part = board.querySelector(".clips-part");
    if (part && !part.dataset.ready) {
      part.dataset.ready = "yes";
      startPlayer(part, page.boards[board.id].clips);
    }
    stopAll();
  });
}

const players = [];

function stopAll() {
  for (const player of players) player.stop();
}

function startPlayer(part, clips) {
  const player = part.querySelector(".player");
  const notice = part.querySelector(".no-clips");
  if (!clips.length) {
    notice.textContent = "No clips were kept for these records.";
    return;
  }
  notice.hidden = true;
  player.hidden = false;
  const [choice, play, slider, told, speed, tiles] = ["clip", "play", "frame", "frame-value", "speed", "tiles"]
    .map((name) => player.querySelector(`.${name}`));
  let shown = null; // {clip, truth, tiles}
  let timer = null;

  clips.forEach((clip, index) => {
    const why = clip.why.map(({ reason, models, steps }) => {
      const over = steps === null ? "" : ` over ${steps} steps`;
      return (REASONS[reason] ?? (() => reason))(models.join(", ")) + over;
    });
    choice.append(make("option", { value: index, text: `${clip.id}${why.length ? `: ${why.join("; ")}` : ""}` }));
  });

  const draw = () => {
    const k = Number(slider.value);
    const { clip } = shown;
    const step = k - clip.context + 1;
    told.textContent = step < 1 ? `given ${k + 1} of ${clip.context}` : `step ${step} of ${clip.steps}`;
    player.classList.toggle("in-context", step < 1);
    const truth = shown.truth.pixels(k);
    for (const tile of shown.tiles) tile.draw(truth, k, step);
  };

  const load = async () => {
    const clip = clips[Number(choice.value)];
    const models = Object.keys(clip.predicted).sort((a, b) => a.slice(1) - b.slice(1));
    const [truth, ...predictions] = await Promise.all([clip.truth, ...models.map((model) => clip.predicted[model])].map(framesOf));
    if (clip !== clips[Number(choice.value)]) return; // another was chosen while this one was decoded
    const last = Math.min(clip.context + clip.steps, truth.count) - 1;
    const start = shown === null ? Math.min(clip.context + 4, last) : Math.min(Number(slider.value), last);
    shown = { clip, truth, tiles: [truthTile(truth, clip), ...models.map((model, i) => modelTile(model, predictions[i], clip))] };
    tiles.replaceChildren(...shown.tiles.map((tile) => tile.element));
    slider.max = last;
    slider.value = start;
    showModels();
    draw();
  };

  const showModels = () => {
    for (const tile of shown?.tiles ?? []) if (tile.model) tile.element.hidden = !isShown(tile.model);
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    clearInterval(timer);
    timer = setInterval(() => {
      slider.value = Number(slider.value) >= Number(slider.max) ? 0 : Number(slider.value) + 1;
      draw();
    }, 1000 / Number(speed.value));
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
  };

  choice.addEventListener("change", load);
  slider.addEventListener("input", draw);
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  speed.addEventListener("change", () => timer !== null && start());
  on("models", showModels);
  players.push({ stop });
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    load();
  }, { rootMargin: "400px" }).observe(part);
}

function picture({ width, height }, label) {
  const canvas = make("canvas", { width, height, role: "img", "aria-label": label });
  return { canvas, context: canvas.getContext("2d") };
}

/** Truth, and below it what was given: while frames are given both move together, then the last one given stays. */
function truthTile(frames, clip) {
  const truth = picture(frames, "truth at the chosen frame");
  const given = picture(frames, "last frame given up to the chosen one");
  const note = make("span", { class: "note" });
  const element = make("figure", { class: "tile truth" }, [
    make("figcaption", { text: "truth" }),
    truth.canvas,
    make("div", { class: "with-note" }, [given.canvas, note]),
  ]);
  const draw = (pixels, k, step) => {
    truth.context.putImageData(pixels, 0, 0);
    given.context.putImageData(frames.pixels(Math.min(k, clip.context - 1)), 0, 0);
    note.textContent = step < 1 ? "given" : "last given";
  };
  return { element, draw };
}

function modelTile(model, frames, clip) {
  const { label } = page.models[model];
  const shown = picture(frames, `prediction of ${label} at the chosen frame`);
  const difference = picture(frames, `prediction of ${label} minus truth at the chosen frame`);
  const element = make("figure", { class: "tile", "data-model": model }, [
    make("figcaption", {}, [nameOf(model)]),
    shown.canvas,
    difference.canvas,
  ]);
  const draw = (truth, k, step) => {
    const own = step < 1 ? truth : frames.pixels(Math.min(step, frames.count) - 1);
    shown.context.putImageData(own, 0, 0);
    difference.context.putImageData(signedDifference(own, truth), 0, 0);
    element.classList.toggle("given", step < 1);
    element.classList.toggle("over", step > Math.min(frames.count, clip.steps));
  };
  return { element, draw, model };
}

/** Blue where the prediction is too dark, orange where it is too bright, black where it is right. */
function signedDifference(predicted, truth) {
  const made = new ImageData(truth.width, truth.height);
  for (let i = 0; i < truth.data.length; i += 4) {
    let sum = 0;
    for (let channel = 0; channel < 3; channel += 1) sum += predicted.data[i + channel] - truth.data[i + channel];
    const size = Math.abs(sum) / 3 / 255;
    const [red, green, blue] = sum > 0 ? [255, 150, 50] : [70, 160, 255];
    made.data[i] = red * size;
    made.data[i + 1] = green * size;
    made.data[i + 2] = blue * size;
    made.data[i + 3] = 255;
  }
  return made;
}
