"use strict";
// Ties the parts together: one state, one way to change it.

let contents; // what the site holds
let data = { layers: {} }; // the dataset, split and image that are shown
let turn = 0; // counts the images that were shown, so that late data of an earlier one is dropped

function report(error) {
  const problem = document.getElementById("problem");
  problem.hidden = false;
  problem.textContent = `${error.message}; make the site again: snakemake (docs/gallery.md)`;
}

/** Load a dataset and a split, with the scores of every method. */
async function openView(name) {
  const view = contents.views.find((one) => `${one.dataset}/${one.split}` === name);
  const [images, ...scores] = await Promise.all([
    load(addressOf(view.dataset, "images.js")),
    ...view.methods.map(({ folder }) => load(addressOf(folder, "predictions.js"))),
  ]);
  data = {
    view, dataset: view.dataset, novel: new Set(view.novel), classes: images.classes, colours: images.colours,
    images: images.images.map(([name, height, width, classes]) => ({ name, height, width, classes })),
    methods: new Map(view.methods.map(({ method, folder }, i) => [method, { ...scores[i], folder }])),
    position: 0, layers: {},
  };
  buildMethods();
  buildClasses();
  buildList();
}

/** Replace in a state what the view does not have. */
function corrected(wanted) {
  const { view } = data, methods = view.methods.map(({ method }) => method);
  const best = methods.find((method) => data.methods.get(method).similarity) ?? methods[0];
  const position = Math.max(0, data.images.findIndex((image) => image.name === wanted.image)), image = data.images[position];
  const method = oneOf(wanted.method, methods, best), compare = oneOf(wanted.compare, methods, "");
  const known = (name, others) => oneOf(name, [...data.classes, ...others], "");
  const fits = wanted.pixel && wanted.pixel[0] < image.width && wanted.pixel[1] < image.height;
  return {
    ...wanted, image: image.name, method, compare: compare === method ? "" : compare,
    pixel: fits ? wanted.pixel : null, only: known(wanted.only, []), class: known(wanted.class, ["novel"]),
    sort: compare || !["gain", "loss"].includes(wanted.sort) ? wanted.sort : "order",
  };
}

/** The one way to change what is shown; `past` keeps the present address for the browser's back button. */
async function change(wanted, past = false) {
  const before = { ...state };
  try {
    const next = { ...state, ...wanted }, names = contents.views.map((view) => `${view.dataset}/${view.split}`);
    next.view = oneOf(next.view, names, names[0]);
    if (next.view !== before.view || !data.view) {
      await openView(next.view);
      before.view = "";
    }
    Object.assign(state, corrected(next));
    history[past ? "pushState" : "replaceState"](null, "", formatHash(state));
    show(before);
  } catch (error) {
    report(error);
  }
}

const choose = (position, focus = false) =>
  change({ image: data.images[position].name, pixel: null }, true).then(() => focus && markChosen(true));

/** Bring the page in line with the state. */
function show(before) {
  const differs = (...keys) => before.view === "" || keys.some((key) => state[key] !== before[key]);
  data.position = data.images.findIndex((image) => image.name === state.image);
  const { methods } = data, followed = methods.get(state.method).similarity ? state.method : null;
  data.similarityOf = followed ?? data.view.methods.map(({ method }) => method).find((name) => methods.get(name).similarity);
  if (differs("image", "method", "compare")) fetchLayers(differs("image"));
  if (differs("class", "sort", "limit", "method", "compare")) fillList();
  else if (differs("image")) markChosen();
  if (differs("image", "method", "compare")) fillClasses();
  markMethods();
  markClass();
  fillControls();
  if (state.side === "similarity") fetchSimilarity();
  if (differs("image", "method", "compare", "only", "side", "pixel")) drawLayers();
  placeLayers();
}

/** Fetch the label maps of the present image; each is drawn as it comes. */
function fetchLayers(newImage) {
  const image = data.images[data.position], mine = ++turn, current = () => mine === turn, now = data;
  if (newImage) {
    now.layers = {};
    showPhotograph(image);
    drawPreviews(image, () => now === data && data.images[data.position] === image);
  }
  const put = (name, folder) => loadLabel(folder, image.name).then((label) => {
    if (!current()) return;
    now.layers[name] = label;
    drawLayers();
    tellPixel();
  }, report);
  put("a", `${data.methods.get(state.method).folder}/maps`);
  put("truth", `${data.dataset}/truth`);
  if (state.compare) put("b", `${data.methods.get(state.compare).folder}/maps`);
  else delete now.layers.b;
  if (data.layers.similarityOf !== data.similarityOf) delete data.layers.similarity;
}

/** Fetch the similarities of the present image: the largest file, so only when they are asked for. */
function fetchSimilarity() {
  const now = data, { layers } = data, method = data.similarityOf;
  if (!method || layers.similarityOf === method) return;
  layers.similarityOf = method;
  loadSimilarity(data.methods.get(method).folder, state.image).then((similarity) => {
    if (now !== data || layers !== data.layers || layers.similarityOf !== method) return;
    layers.similarity = similarity;
    drawLayers();
    placeLayers();
  }, report);
}

/** Bring the controls in line with the state. */
function fillControls() {
  for (const name of ["view", "class", "sort", "limit", "compare", "opacity", "swipe"]) {
    document.getElementById(name).value = state[name];
    const told = document.getElementById(`${name}-value`);
    if (told) told.textContent = `${state[name]} %`;
  }
  for (const choice of document.querySelectorAll("#sort option")) {
    choice.disabled = !state.compare && ["gain", "loss"].includes(choice.value);
  }
  document.getElementById("swipe-field").hidden = !state.compare;
  document.getElementById("name").textContent = state.image;
  for (const button of document.querySelectorAll("#side button")) {
    button.setAttribute("aria-checked", String(button.dataset.side === state.side));
    button.tabIndex = button.dataset.side === state.side ? 0 : -1;
  }
  const at = shown.indexOf(data.position);
  document.getElementById("previous").disabled = at <= 0;
  document.getElementById("next").disabled = at === shown.length - 1;
}

for (const [name, kind] of Object.entries({
  class: "change", sort: "change", compare: "change", limit: "input", opacity: "input", swipe: "input",
})) {
  const control = document.getElementById(name), value = () => (kind === "input" ? Number(control.value) : control.value);
  control.addEventListener(kind, () => change({ [name]: value() }));
}
document.getElementById("view").addEventListener("change", (event) => change({ view: event.target.value, pixel: null }, true));
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  frames.main.focus();
});
for (const button of document.querySelectorAll("#side button")) {
  button.addEventListener("click", () => change({ side: button.dataset.side }));
}
window.addEventListener("popstate", () => start(parseHash(location.hash)));

/** Show what an address asks for; one without an image gets the first of its filter and order. */
async function start(wanted) {
  await change(wanted);
  if (!wanted.image && shown.length) await change({ image: data.images[shown[0]].name });
}

load("contents.js").then((content) => {
  contents = content;
  document.title = document.getElementById("title").textContent = contents.title;
  document.getElementById("view").replaceChildren(...contents.views.map(({ dataset, split, title }) =>
    option(`${dataset}/${split}`, `${title}, ${split}`)));
  drawScale(document.querySelector("#scale canvas"));
  return start(parseHash(location.hash));
}).then(() => { document.documentElement.dataset.ready = "yes"; }, report);
