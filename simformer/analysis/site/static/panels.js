"use strict";
// Everything around the pictures: methods with small previews, IoU per class, class and view choices.

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const option = (value, text) => element("option", { value }, text);
const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

/** Mean IoU of a method over base or novel classes of the whole test set. */
function groupIou(method, novel) {
  const values = data.methods.get(method).classes;
  return mean(values.filter((value, id) => value !== null && data.novel.has(id) === novel));
}

/** One card per method, with its prediction of the present image. */
function buildMethods() {
  document.getElementById("methods").replaceChildren(...data.view.methods.map(({ method, label }, i) => {
    const card = element("button", { type: "button", role: "radio", "data-method": method, class: "card" });
    const facts = `novel ${number(groupIou(method, true))} · base ${number(groupIou(method, false))}`;
    card.append(
      element("canvas", { width: 1, height: 1 }),
      element("span", { class: "label" }, i < 9 ? element("kbd", {}, String(i + 1)) : "", ` ${label}`),
      element("span", { class: "here" }),
      element("span", { class: "facts", title: "mean IoU over all test images" }, facts),
    );
    card.addEventListener("click", () => change({ method }));
    return card;
  }));
  document.getElementById("compare").replaceChildren(
    option("", "nothing"), ...data.view.methods.map(({ method, label }) => option(method, label)),
  );
}

/** Mark methods A and B; the value is that of the image. */
function markMethods() {
  for (const card of document.querySelectorAll(".card")) {
    const chosen = card.dataset.method === state.method, iou = imageIou(data.position, card.dataset.method);
    card.setAttribute("aria-checked", String(chosen));
    card.tabIndex = chosen ? 0 : -1;
    card.dataset.role = chosen ? "A" : card.dataset.method === state.compare ? "B" : "";
    card.querySelector(".here").textContent = iou === null ? "–" : `${Math.round(iou)} %`;
  }
}

/** Draw the previews of one image; `current` tells whether it is still the one that is shown. */
function drawPreviews(image, current) {
  for (const card of document.querySelectorAll(".card")) {
    const { folder } = data.methods.get(card.dataset.method);
    loadLabel(`${folder}/maps`, image.name).then((label) => {
      if (current()) drawLabel(card.querySelector("canvas"), label);
    }, report);
  }
}

/** Choices of classes: novel ones first, each with its number of images. */
function buildClasses() {
  const counts = data.classes.map((_, id) => data.images.filter((image) => image.classes.includes(id)).length);
  const group = (label, wanted) => element("optgroup", { label }, ...data.classes.flatMap((name, id) =>
    data.novel.has(id) === wanted && counts[id] ? [option(name, `${name} (${counts[id]})`)] : []));
  document.getElementById("class").replaceChildren(
    option("", "all images"), option("novel", "with any novel class"), group("Novel", true), group("Base", false),
  );
}

/** The table of one image's classes. */
function fillClasses() {
  const image = data.images[data.position], methods = [state.method, state.compare].filter(Boolean);
  const heads = methods.map((method, i) => element("th", { scope: "col" }, `${"AB"[i]}: ${labelOf(method)}`));
  document.getElementById("classes").style.setProperty("--methods", methods.length);
  document.querySelector("#classes thead").replaceChildren(
    element("tr", {}, element("th", { scope: "col" }, "Class"), ...heads),
  );
  const order = image.classes.map((id, at) => ({ id, at }))
    .sort((a, b) => data.novel.has(b.id) - data.novel.has(a.id) || a.id - b.id);
  document.querySelector("#classes tbody").replaceChildren(...order.map(({ id, at }) => {
    const name = data.classes[id];
    const swatch = element("span", { class: "swatch" });
    swatch.style.background = `rgb(${data.colours[id].join(" ")})`;
    const button = element("button", { type: "button", "data-class": name }, swatch, name);
    if (data.novel.has(id)) button.append(element("span", { class: "novel" }, "novel"));
    button.addEventListener("click", () => change({ only: state.only === name ? "" : name }));
    const bars = methods.map((method) => {
      const value = data.methods.get(method).images[data.position][at];
      const cell = element("td", {}, element("span", { class: "bar" }), element("span", {}, String(value ?? "–")));
      cell.style.setProperty("--iou", `${value ?? 0}%`);
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row" }, button), ...bars);
  }));
}

/** Mark the class that is shown alone. */
function markClass() {
  for (const button of document.querySelectorAll("#classes button")) {
    button.setAttribute("aria-pressed", String(button.dataset.class === state.only));
  }
}

const labelOf = (method) => data.view.methods.find((one) => one.method === method).label;
