"use strict";
// The two pictures: layers, swipe, chosen pixel, what is under the pointer.

const frames = { main: document.getElementById("main-frame"), side: document.getElementById("side-frame") };
const layers = Object.fromEntries(["a", "b", "side"].map((name) => [name, document.getElementById(`layer-${name}`)]));
const handle = document.getElementById("handle");
const hint = document.getElementById("hint");
let pointer = null; // the pixel under the pointer

/** Show the present image's photograph and bring both frames to its shape. */
function showPhotograph(image) {
  const stages = document.getElementById("stages");
  stages.style.setProperty("--width", image.width);
  stages.style.setProperty("--height", image.height);
  for (const frame of Object.values(frames)) {
    const picture = frame.querySelector("img");
    picture.src = addressOf(data.dataset, "photographs", `${image.name}.jpg`);
    picture.alt = `Test image ${image.name}: ${image.classes.map((id) => data.classes[id]).join(", ")}`;
  }
}

/** Draw all layers from what is loaded. */
function drawLayers() {
  const { a, b, truth, similarity } = data.layers, only = state.only ? data.classes.indexOf(state.only) : null;
  if (a) drawLabel(layers.a, a, { only });
  if (b) drawLabel(layers.b, b, { only });
  if (truth && state.side === "truth") drawLabel(layers.side, truth, { only });
  if (truth && a && state.side === "errors") drawLabel(layers.side, a, { only, truth });
  if (similarity && state.side === "similarity") drawSimilarityOf(state.pixel ?? pointer);
}

function cellOf([x, y]) {
  const { rows, columns } = data.layers.similarity, image = data.images[data.position];
  return Math.floor((y * rows) / image.height) * columns + Math.floor((x * columns) / image.width);
}

function drawSimilarityOf(pixel) {
  layers.side.hidden = !pixel;
  if (pixel) drawSimilarity(layers.side, data.layers.similarity, cellOf(pixel));
}

/** Place what needs no new drawing: opacity, swipe, pin, captions. */
function placeLayers() {
  const both = Boolean(state.compare), similar = state.side === "similarity", opacity = state.opacity / 100;
  layers.a.style.opacity = layers.b.style.opacity = opacity;
  layers.side.style.opacity = similar ? Math.max(opacity, 0.6) : opacity;
  layers.b.hidden = handle.hidden = !both;
  layers.a.style.clipPath = both ? `inset(0 ${100 - state.swipe}% 0 0)` : "";
  layers.b.style.clipPath = `inset(0 0 0 ${state.swipe}%)`;
  handle.style.left = `${state.swipe}%`;
  frames.side.classList.toggle("heat", similar);
  document.getElementById("scale").hidden = !similar;
  if (!similar) layers.side.hidden = false;
  hint.hidden = !similar || Boolean(data.similarityOf && (state.pixel ?? pointer));
  hint.textContent = data.similarityOf ? "Move over a picture, or click a pixel to keep it." : "No method here has a SimNet.";
  const image = data.images[data.position];
  for (const pin of document.querySelectorAll(".pin")) {
    pin.hidden = !state.pixel;
    if (!state.pixel) continue;
    pin.style.left = `${(100 * (state.pixel[0] + 0.5)) / image.width}%`;
    pin.style.top = `${(100 * (state.pixel[1] + 0.5)) / image.height}%`;
  }
  document.getElementById("caption-a").textContent = `A  ${labelOf(state.method)}`;
  document.getElementById("caption-b").textContent = both ? `B  ${labelOf(state.compare)}` : "";
  tellPixel();
}

/** Say in words what is at the chosen pixel, or under the pointer. */
function tellPixel() {
  const pixel = pointer ?? state.pixel, { a, b, truth, similarity } = data.layers, readout = document.getElementById("readout");
  if (!pixel || !a || !truth) {
    readout.textContent = "Click a pixel to see which others SimNet takes for the same class.";
    return;
  }
  const at = pixel[1] * truth.width + pixel[0];
  const name = (label) => (label.ids[at] === UNLABELLED ? "unlabelled" : data.classes[label.ids[at]]);
  const parts = [`pixel ${pixel.join(", ")}`, `truth: ${name(truth)}`, `${labelOf(state.method)}: ${name(a)}`];
  if (b) parts.push(`${labelOf(state.compare)}: ${name(b)}`);
  if (similarity && state.pixel) {
    const value = similarity.values[cellOf(state.pixel) * similarity.rows * similarity.columns + cellOf(pixel)];
    parts.push(`similarity to the chosen pixel: ${(value / (similarity.levels - 1)).toFixed(2)}`);
  }
  readout.textContent = parts.join("  ·  ");
}

function pixelAt(event, frame) {
  const box = frame.getBoundingClientRect(), image = data.images[data.position];
  return inside([((event.clientX - box.left) / box.width) * image.width, ((event.clientY - box.top) / box.height) * image.height]);
}

function inside([x, y]) {
  const image = data.images[data.position], clamp = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  return [clamp(x, image.width), clamp(y, image.height)];
}

for (const frame of Object.values(frames)) {
  frame.addEventListener("pointermove", (event) => {
    pointer = pixelAt(event, frame);
    if (state.side === "similarity" && !state.pixel && data.layers.similarity) drawSimilarityOf(pointer);
    placeLayers();
  });
  frame.addEventListener("pointerleave", () => {
    pointer = null;
    drawLayers();
    placeLayers();
  });
  frame.addEventListener("click", (event) => {
    if (event.target !== handle) choosePixel(pixelAt(event, frame));
  });
}

/** Choose a pixel and show its similarities; the same cell again lets it go. */
function choosePixel(pixel) {
  const same = state.pixel && Math.hypot(pixel[0] - state.pixel[0], pixel[1] - state.pixel[1]) < 2;
  change({ pixel: same ? null : pixel, side: "similarity" });
}

frames.main.addEventListener("keydown", (event) => {
  const image = data.images[data.position], pace = Math.max(1, Math.round(Math.max(image.width, image.height) / 24));
  const moves = { ArrowLeft: [-pace, 0], ArrowRight: [pace, 0], ArrowUp: [0, -pace], ArrowDown: [0, pace] };
  if (event.key in moves && state.pixel) {
    change({ pixel: inside(state.pixel.map((value, i) => value + moves[event.key][i])), side: "similarity" });
  } else if (event.key === "Enter" && !state.pixel) {
    choosePixel(inside([image.width / 2, image.height / 2]));
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
});

handle.addEventListener("pointerdown", (event) => {
  handle.setPointerCapture(event.pointerId);
  event.preventDefault();
});
handle.addEventListener("pointermove", (event) => {
  if (!handle.hasPointerCapture(event.pointerId)) return;
  const box = frames.main.getBoundingClientRect();
  change({ swipe: Math.round(Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width))) });
});
