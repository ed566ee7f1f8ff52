"use strict";
// From class ids and similarities to canvases.

const UNLABELLED = 255;
const FADED = [24, 28, 34, 175];
const HEAT = [[20, 12, 60], [52, 38, 134], [28, 112, 150], [50, 170, 118], [170, 214, 64], [255, 240, 110]];

/** Draw class ids in their colours; `only` is one id to show alone, `truth` leaves wrong pixels alone in colour. */
function drawLabel(canvas, label, { only = null, truth = null } = {}) {
  const { ids, palette, width, height } = label;
  canvas.width = width;
  canvas.height = height;
  const picture = new ImageData(width, height), out = picture.data;
  for (let i = 0, at = 0; i < ids.length; i++, at += 4) {
    const id = ids[i], right = truth && (truth.ids[i] === id || truth.ids[i] === UNLABELLED);
    if (right || (only !== null && id !== only)) {
      out.set(FADED, at);
    } else {
      out[at] = palette[3 * id];
      out[at + 1] = palette[3 * id + 1];
      out[at + 2] = palette[3 * id + 2];
      out[at + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function heat(value) {
  const at = value * (HEAT.length - 1), low = Math.min(HEAT.length - 2, Math.floor(at));
  return HEAT[low].map((start, i) => Math.round(start + (at - low) * (HEAT[low + 1][i] - start)));
}

/** Draw how similar every cell is to one of them. */
function drawSimilarity(canvas, { rows, columns, levels, values }, cell) {
  canvas.width = columns;
  canvas.height = rows;
  const picture = new ImageData(columns, rows), row = cell * rows * columns;
  for (let i = 0; i < rows * columns; i++) {
    picture.data.set([...heat(values[row + i] / (levels - 1)), 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Draw the scale of similarities. */
function drawScale(canvas) {
  const picture = new ImageData(canvas.width, 1);
  for (let x = 0; x < canvas.width; x++) picture.data.set([...heat(x / (canvas.width - 1)), 255], 4 * x);
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
