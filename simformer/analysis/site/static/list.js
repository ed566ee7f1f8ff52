"use strict";
// The thumbnails: filter, order, choice.

const list = document.getElementById("list");
const shown = []; // positions of the images in the order in which they are shown
let items = []; // one element per image of the dataset

const known = (values) => values.filter((value) => value !== null);
const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

/** IoU of an image: of the chosen class, else the mean over its classes (its novel ones if these are chosen). */
function imageIou(position, method) {
  const present = data.images[position].classes, values = data.methods.get(method).images[position];
  if (state.class === "") return mean(known(values));
  if (state.class === "novel") return mean(known(values.filter((_, i) => data.novel.has(present[i]))));
  const at = present.indexOf(data.classes.indexOf(state.class));
  return at < 0 ? null : values[at];
}

/** Build the elements of a dataset's images; pictures are fetched when they come into sight. */
function buildList() {
  items = data.images.map((image, position) => {
    const item = document.createElement("div");
    item.className = "item";
    item.id = `image-${position}`;
    item.setAttribute("role", "option");
    item.tabIndex = -1;
    const picture = document.createElement("img");
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.alt = "";
    picture.width = picture.height = 112;
    picture.src = addressOf(data.dataset, "thumbnails", `${image.name}.jpg`);
    const value = document.createElement("span");
    item.append(picture, value);
    item.addEventListener("click", () => choose(position));
    return item;
  });
}

/** Apply filter and order. */
function fillList() {
  const wanted = state.class === "novel" ? (c) => data.novel.has(c) : (c) => data.classes[c] === state.class;
  const rows = data.images
    .map((image, position) => ({ position, image, iou: imageIou(position, state.method) }))
    .filter(({ image, iou }) => state.class === "" || image.classes.some(wanted))
    .filter(({ iou }) => state.limit === 100 || (iou !== null && iou <= state.limit));
  if (state.compare) for (const row of rows) row.lead = row.iou - imageIou(row.position, state.compare);
  const orders = {
    worst: (a, b) => a.iou - b.iou, best: (a, b) => b.iou - a.iou,
    gain: (a, b) => b.lead - a.lead, loss: (a, b) => a.lead - b.lead,
  };
  if (state.sort in orders) rows.sort(orders[state.sort]);
  shown.splice(0, Infinity, ...rows.map((row) => row.position));
  for (const { position, iou } of rows) {
    const item = items[position], text = iou === null ? "–" : String(Math.round(iou));
    item.lastChild.textContent = text;
    item.style.setProperty("--iou", `${iou ?? 0}%`);
    item.setAttribute("aria-label", `${data.images[position].name}, IoU ${text}`);
  }
  list.replaceChildren(...shown.map((position) => items[position]));
  if (!rows.length) list.textContent = "No image fits. Choose another class or a higher IoU.";
  document.getElementById("count").textContent = `${shown.length} of ${data.images.length} images`;
  markChosen();
}

/** Mark the image that is shown, and bring it into sight. */
function markChosen(focus = false) {
  for (const item of list.querySelectorAll('[aria-selected="true"]')) {
    item.setAttribute("aria-selected", "false");
    item.tabIndex = -1;
  }
  const item = items[data.position];
  item.setAttribute("aria-selected", "true");
  item.tabIndex = 0;
  if (item.isConnected) {
    item.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (focus) item.focus();
  } else if (shown.length) {
    items[shown[0]].tabIndex = 0;
  }
}

/** Go some steps on in the order that is shown. */
function step(count, focus = false) {
  const at = shown.indexOf(data.position), next = at < 0 ? 0 : at + count;
  if (next >= 0 && next < shown.length) choose(shown[next], focus);
}

list.addEventListener("keydown", (event) => {
  const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (event.key in steps) step(steps[event.key], true);
  else if (event.key === "Home" && shown.length) choose(shown[0], true);
  else if (event.key === "End" && shown.length) choose(shown.at(-1), true);
  else if ((event.key === "Enter" || event.key === " ") && document.activeElement.click) document.activeElement.click();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
