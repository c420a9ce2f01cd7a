// Plots of artifacts as SVG: {x, y, series: [{name, points: [[x, y, low, high]], bars, line}]}; low and high may lack.
"use strict";
Lifelike.plots = (() => {
  const { h } = Lifelike;
  const WIDTH = 560, HEIGHT = 300, LEFT = 64, RIGHT = 14, TOP = 14, BOTTOM = 44;
  const INKS = ["var(--ll-accent)", "var(--ll-warn)", "var(--ll-bad)", "var(--ll-quiet)"];

  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  const shown = (value) => String(Number(value.toPrecision(4)));

  // Even steps of 1, 2 or 5 times a power of ten over low..high, four to eight of them.
  function ticks(low, high) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
    return found;
  }

  // [low, high] of finite numbers, never empty.
  function span(values, fromZero) {
    const low = Math.min(...values, ...(fromZero ? [0] : [])), high = Math.max(...values, ...(fromZero ? [0] : []));
    const room = high > low ? high - low : Math.abs(high) || 1;
    return high > low ? [low, high] : [fromZero ? Math.min(0, low) : low - room / 2, high + room / 2];
  }

  // What is drawn of a value, or null where it is no plot of this form.
  function read(value) {
    if (!value || !Array.isArray(value.series)) return null;
    const series = value.series
      .map((one) => ({ ...one, points: (one.points || []).filter((point) => point.slice(0, 2).every(Number.isFinite)) }))
      .filter((one) => one.points.length);
    return series.length ? { x: String(value.x ?? ""), y: String(value.y ?? ""), series } : null;
  }

  function draw(value) {
    const plot = read(value);
    if (!plot) return null;
    const points = plot.series.flatMap((one) => one.points);
    const bars = plot.series.some((one) => one.bars);
    const half = bars ? barWidth(plot.series.find((one) => one.bars).points) / 2 : 0;
    const [left, right] = span(points.flatMap((point) => [point[0] - half, point[0] + half]), false);
    const [low, high] = span(points.flatMap((point) => point.slice(1)).filter(Number.isFinite), bars);
    const room = bars ? 0 : (high - low) * 0.06;
    const across = (x) => LEFT + ((WIDTH - LEFT - RIGHT) * (x - left)) / (right - left);
    const up = (y) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (y - low + room)) / (high - low + 2 * room);
    const frame = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "ll-plot", "aria-label": `${plot.y}: ${plot.x}` });
    axes(frame, plot, { left, right, low, high, across, up });
    plot.series.forEach((one, place) => frame.append(...marks(one, INKS[place % INKS.length], half, across, up)));
    const names = plot.series.length > 1
      ? h("div", { class: "ll-plot-names" }, plot.series.map((one, place) =>
        h("span", { style: `--ink: ${INKS[place % INKS.length]}` }, one.name || "")))
      : null;
    // Colours are read when a file is made: the theme may have changed since.
    const told = () => plot.series.length > 1 && names
      ? plot.series.map((one, place) => ({ name: one.name || "", ink: getComputedStyle(names.children[place], "::before").backgroundColor }))
      : [];
    return h("figure", { class: "ll-figure" }, frame, names, Lifelike.plotFiles.buttons(frame, told));
  }

  // The least distance of two bars.
  function barWidth(points) {
    const places = points.map((point) => point[0]).sort((a, b) => a - b);
    const gaps = places.slice(1).map((x, i) => x - places[i]).filter((gap) => gap > 0);
    return gaps.length ? Math.min(...gaps) : 1;
  }

  function axes(frame, plot, { left, right, low, high, across, up }) {
    for (const y of ticks(low, high)) {
      frame.append(
        svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: up(y), y2: up(y), class: "ll-plot-rule" }),
        svg("text", { x: LEFT - 7, y: up(y) + 4, "text-anchor": "end" }, shown(y)));
    }
    for (const x of ticks(left, right)) {
      frame.append(svg("text", { x: across(x), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, shown(x)));
    }
    frame.append(
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "ll-plot-axis" }),
      svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, plot.x),
      svg("text", { x: 14, y: (TOP + HEIGHT - BOTTOM) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(TOP + HEIGHT - BOTTOM) / 2})` }, plot.y));
  }

  function marks(one, ink, half, across, up) {
    if (one.bars) {
      const width = Math.max(1, across(half * 2) - across(0) - 1);
      return one.points.map(([x, y]) => svg("rect", {
        x: across(x) - width / 2, width, y: Math.min(up(y), up(0)), height: Math.abs(up(0) - up(y)), fill: ink,
      }, svg("title", {}, `${shown(x)}: ${shown(y)}`)));
    }
    const found = [];
    if (one.line) {
      found.push(svg("polyline", { points: one.points.map(([x, y]) => `${across(x)},${up(y)}`).join(" "), fill: "none", stroke: ink, "stroke-width": 2 }));
    }
    for (const [x, y, from, to] of one.points) {
      if (Number.isFinite(from) && Number.isFinite(to)) {
        found.push(svg("line", { x1: across(x), x2: across(x), y1: up(from), y2: up(to), stroke: ink, "stroke-width": 1.5 }));
      }
      found.push(svg("circle", { cx: across(x), cy: up(y), r: 3.2, fill: ink }, svg("title", {}, `${shown(x)}: ${shown(y)}`)));
    }
    return found;
  }

  return { draw };
})();
