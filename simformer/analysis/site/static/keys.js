"use strict";
// Keys that work anywhere on the page.

const help = document.getElementById("help");
let hiddenOpacity = DEFAULTS.opacity; // what `o` goes back to

function nthMethod(event) {
  const digit = /^Digit([1-9])$/.exec(event.code);
  return digit && data.view.methods[Number(digit[1]) - 1]?.method;
}

const KEYS = {
  ArrowLeft: () => step(-1), k: () => step(-1), ArrowRight: () => step(1), j: () => step(1),
  x: () => state.compare && change({ method: state.compare, compare: state.method }),
  "[": () => change({ opacity: Math.max(0, state.opacity - 10) }),
  "]": () => change({ opacity: Math.min(100, state.opacity + 10) }),
  o: () => {
    if (state.opacity) hiddenOpacity = state.opacity;
    change({ opacity: state.opacity ? 0 : hiddenOpacity });
  },
  ",": () => change({ swipe: Math.max(0, state.swipe - 5) }),
  ".": () => change({ swipe: Math.min(100, state.swipe + 5) }),
  t: () => change({ side: "truth" }), e: () => change({ side: "errors" }), s: () => change({ side: "similarity" }),
  Escape: () => change({ pixel: null, only: "" }),
  f: () => document.getElementById("class").focus(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("select, input");
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || (typing && event.key !== "Escape")) return;
  const method = nthMethod(event);
  if (method) change(event.shiftKey ? { compare: method === state.compare ? "" : method } : { method });
  else if (event.key in KEYS) KEYS[event.key]();
  else return;
  event.preventDefault();
});

/** Arrow keys within a group of radio buttons, as everywhere on the web. */
for (const group of document.querySelectorAll('[role="radiogroup"]')) {
  group.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
    if (!(event.key in moves)) return;
    const buttons = [...group.querySelectorAll('[role="radio"]')], at = buttons.indexOf(document.activeElement);
    const next = buttons[(at + moves[event.key] + buttons.length) % buttons.length];
    next.click();
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

document.getElementById("help-open").addEventListener("click", () => help.showModal());
