"use strict";
// Data comes as scripts that call `receive`, since a page opened from disk may not read files in any other way.

const KEPT = 60; // decoded files that are remembered, the oldest go first
const loaded = new Map();

function receive(content) {
  document.currentScript.received = content;
}

let underway = 0; // files on their way

/** Whether files are still on their way. */
const loading = () => underway > 0;

/** Remember what a key stands for; a failure is forgotten, so that it is tried again. */
function remember(key, make) {
  if (!loaded.has(key)) {
    underway += 1;
    const made = make().catch((error) => { loaded.delete(key); throw error; }).finally(() => { underway -= 1; });
    loaded.set(key, made);
    if (loaded.size > KEPT) loaded.delete(loaded.keys().next().value);
  }
  return loaded.get(key);
}

/** Run a data script; the promise gives its content. */
const load = (address) => new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = address;
  script.onload = () => { resolve(script.received); script.remove(); };
  script.onerror = () => { script.remove(); reject(new Error(`${address} is missing`)); };
  document.head.append(script);
});

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Class ids and colours of a palette PNG: eight bits a pixel, rows unfiltered, as the site's builder writes them. */
async function decodeLabel(text) {
  const bytes = bytesOf(text), view = new DataView(bytes.buffer);
  const width = view.getUint32(16), height = view.getUint32(20);
  let palette, packed;
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    if (kind === "PLTE") palette = data;
    if (kind === "IDAT") packed = data;
  }
  const rows = await inflate(packed), ids = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) ids.set(rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)), y * width);
  return { ids, palette, width, height };
}

/** SimNet's levels between all cells of an image. */
async function decodeSimilarity({ rows, columns, levels, data }) {
  return { rows, columns, levels, values: await inflate(bytesOf(data)) };
}

const addressOf = (...parts) => parts.join("/").split("/").map(encodeURIComponent).join("/");
const loadDecoded = (decode, ...parts) => {
  const address = addressOf(...parts);
  return remember(address, () => load(address).then(decode));
};
const loadLabel = (folder, image) => loadDecoded(decodeLabel, folder, `${image}.js`);
const loadSimilarity = (folder, image) => loadDecoded(decodeSimilarity, folder, "similarity", `${image}.js`);
