"use strict";
// What the page shows, and its form in the address: #dataset/split/image?method=...&pixel=x,y

const DEFAULTS = {
  view: "", image: "", method: "", compare: "", opacity: 65, swipe: 50, side: "truth", pixel: null, only: "",
  class: "", sort: "order", limit: 100,
};
const SIDES = ["truth", "errors", "similarity"];
const SORTS = ["order", "worst", "best", "gain", "loss"];
const state = { ...DEFAULTS };

const within = (text, low, high, otherwise) => {
  const value = Number(text);
  return text !== null && text !== "" && Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
};
const oneOf = (text, allowed, otherwise) => (allowed.includes(text) ? text : otherwise);

/** Read an address; what it lacks, or cannot mean, keeps the default. */
function parseHash(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const [dataset = "", split = "", image = ""] = path.split("/").map(safeDecode);
  const given = new URLSearchParams(query), pixel = (given.get("pixel") ?? "").split(",").map(Number);
  return {
    view: dataset && split ? `${dataset}/${split}` : "",
    image,
    method: given.get("method") ?? DEFAULTS.method,
    compare: given.get("compare") ?? DEFAULTS.compare,
    opacity: within(given.get("opacity"), 0, 100, DEFAULTS.opacity),
    swipe: within(given.get("swipe"), 0, 100, DEFAULTS.swipe),
    side: oneOf(given.get("side"), SIDES, DEFAULTS.side),
    pixel: pixel.length === 2 && pixel.every((v) => Number.isInteger(v) && v >= 0) ? pixel : null,
    only: given.get("only") ?? "",
    class: given.get("class") ?? "",
    sort: oneOf(given.get("sort"), SORTS, DEFAULTS.sort),
    limit: within(given.get("limit"), 0, 100, DEFAULTS.limit),
  };
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a state; what has its default is left out, but for the method and the opacity. */
function formatHash(content) {
  const query = new URLSearchParams();
  for (const key of ["method", "compare", "opacity", "swipe", "side", "pixel", "only", "class", "sort", "limit"]) {
    const value = content[key], always = key === "method" || key === "opacity";
    if (value !== null && (always || value !== DEFAULTS[key]) && (key !== "swipe" || content.compare)) {
      query.set(key, key === "pixel" ? value.join(",") : value);
    }
  }
  return `#${addressOf(content.view, content.image)}?${query.toString().replaceAll("%2C", ",")}`;
}
