"use strict";
// Draws the charts that the page holds as data; everything else on the page is there without it.
(() => {
  const drawn = JSON.parse(document.getElementById("drawn").textContent);
  const root = document.documentElement;
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const EVENT_COLORS = { warm_up: "--c7", held: "--c1", unanswered: "--c2", profile: "--c3", silent: "--c6", rebalance: "--c5" };

  // ---- numbers ------------------------------------------------------------------------------------------------------
  const digits = (x) => {
    const size = Math.abs(x);
    return size === 0 ? "0" : size >= 100 ? x.toFixed(0) : String(Number(x.toPrecision(3)));
  };
  const scaled = (steps) => (x) => {
    const [factor, name] = steps.find(([least]) => Math.abs(x) >= least) || steps[steps.length - 1];
    return digits(x / factor) + name;
  };
  const thousands = scaled([[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]]);
  const seconds = (x) => {
    if (x < 60) return digits(x) + " s";
    const [h, m, s] = [Math.floor(x / 3600), Math.floor((x % 3600) / 60), Math.round(x % 60)];
    return h ? `${h}h${String(m).padStart(2, "0")}` : s ? `${m}m${String(s).padStart(2, "0")}` : `${m} min`;
  };
  const FORMATS = {
    ns: scaled([[3.6e12, " h"], [6e10, " min"], [1e9, " s"], [1e6, " ms"], [1e3, " µs"], [1, " ns"]]),
    per_second: (x) => thousands(x) + "/s",
    count: thousands,
    bytes: scaled([[2 ** 40, " TiB"], [2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]]),
    seconds,
    share: (x) => digits(x * 100) + " %",
    plain: (x) => (Math.abs(x) >= 1e4 ? thousands(x) : digits(x)),
  };
  const percentile = (nines) => {
    const q = 100 * (1 - 10 ** -nines);
    return "p" + Number(q.toFixed(Math.max(0, Math.ceil(nines - 1e-9) - 2) + (Number.isInteger(nines) ? 0 : 1)));
  };

  // ---- marks over time ----------------------------------------------------------------------------------------------
  // Bands and lines on every chart; what they are called on the first two, which are wide.
  const marks = (labelled) => ({
    hooks: {
      drawClear: [(u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        for (const event of drawn.events) {
          const from = u.valToPos(event.from_s, "x", true);
          const width = Math.max(u.valToPos(event.to_s, "x", true) - from, 2);
          ctx.fillStyle = ctx.strokeStyle = color(EVENT_COLORS[event.kind]);
          ctx.globalAlpha = event.kind === "profile" ? 0.7 : 0.16;
          ctx.fillRect(from, bbox.top, event.kind === "profile" ? 1.5 * devicePixelRatio : width, bbox.height);
        }
        ctx.restore();
      }],
      draw: labelled ? [(u) => {
        const { ctx, bbox } = u;
        const size = 11 * devicePixelRatio;
        ctx.save();
        ctx.font = `${size}px system-ui, sans-serif`;
        ctx.textBaseline = "top";
        ctx.textAlign = "left";
        // Where each row of labels is free. A label that finds no row stays away: its mark is there.
        const rows = [-Infinity, -Infinity, -Infinity];
        for (const event of [...drawn.events].sort((a, b) => a.from_s - b.from_s)) {
          const at = u.valToPos(event.from_s, "x", true) + 4 * devicePixelRatio;
          const width = ctx.measureText(event.label).width;
          const row = rows.findIndex((free) => at >= free);
          if (row < 0 || at < bbox.left || at + width > bbox.left + bbox.width) continue;
          ctx.fillStyle = color(EVENT_COLORS[event.kind]);
          ctx.fillText(event.label, at, bbox.top + 3 * devicePixelRatio + row * 1.3 * size);
          rows[row] = at + width + size;
        }
        ctx.restore();
      }] : [],
    },
  });

  // What runs from left to right.
  const ACROSS = {
    time: { label: "at", text: seconds, axis: { space: 70, values: (u, at) => at.map(seconds) } },
    percentile: {
      label: "percentile",
      text: percentile,
      axis: { splits: () => [Math.log10(2), 1, 2, 3, 4, 5], values: (u, at) => at.map((x) => (x < 0.9 ? "p50" : percentile(x))) },
    },
    ns: factors("up to", "ns"),
    bytes: factors("up to", "bytes"),
    rank: factors("the first", "count"),
  };
  function factors(label, unit) {
    const format = FORMATS[unit];
    const scale = { distr: 3, log: 10, range: (u, low, high) => (low > 0 ? [low / 1.1, high * 1.1] : [1, 10]) };
    // Those that have room, each as far from the next.
    const thinned = (u, at) => {
      const step = Math.ceil((at.length * 60 * devicePixelRatio) / u.bbox.width);
      return at.map((x, ix) => (ix % step ? null : x));
    };
    return { label, text: format, scale, axis: { splits: decades, filter: thinned, values: (u, at) => at.map((x) => (x == null ? "" : format(x))) } };
  }

  // ---- charts -------------------------------------------------------------------------------------------------------
  function options(chart, place) {
    const time = chart.across === "time";
    const across = ACROSS[chart.across];
    const format = FORMATS[chart.unit];
    const hue = (ix) => color(`--c${chart.lines[ix].hue ?? ix % 8}`);
    const axis = { stroke: () => color("--quiet"), grid: { stroke: () => color("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const few = chart.x.length < 3;
    const lines = chart.lines.map((line, ix) => ({
      label: line.name,
      stroke: () => hue(ix),
      width: 1.6,
      dash: line.dashed ? [6, 4] : undefined,
      fill: line.filled ? () => hue(ix) + "2b" : undefined,
      paths: time || chart.across === "percentile" ? uPlot.paths.linear() : uPlot.paths.stepped({ align: 1 }),
      points: { show: few },
      spanGaps: false,
      value: (u, x) => (x == null ? "–" : format(x)),
    }));
    return {
      width: place.clientWidth,
      height: place.clientWidth < 500 ? 230 : 280,
      plugins: time ? [marks(drawn.charts.indexOf(chart) < 2)] : [],
      cursor: { y: false, sync: time ? { key: "time", scales: ["x", null] } : undefined, points: { size: 6 } },
      scales: {
        x: { time: false, ...(time ? { range: () => [0, drawn.end_s || 1] } : across.scale) },
        y: chart.logarithmic
          ? { distr: 3, log: 10, range: (u, low, high) => (low > 0 ? [low / 1.5, high * 1.5] : [1, 10]) }
          : { range: (u, low, high) => [0, chart.unit === "share" ? 1.02 : high > 0 ? high * 1.12 : 1] },
      },
      axes: [
        { ...axis, size: 32, ...(time ? { incrs: STEPS_S } : {}), ...across.axis },
        { ...axis, size: 64, values: (u, at) => at.map((y) => (y == null ? "" : format(y))),
          ...(chart.logarithmic ? { splits: decades } : chart.unit === "bytes" ? { incrs: STEPS_BYTES } : {}) },
      ],
      series: [{ label: across.label, value: (u, x) => (x == null ? "–" : across.text(x)) }, ...lines],
      legend: { live: true, markers: { dash: (u, ix) => (chart.lines[ix - 1]?.dashed ? "dashed" : "solid") } },
    };
  }

  // A value over time holds to the end of its bin, whatever comes after it, nothing too: each bin is a point at either end.
  function points(chart) {
    const lines = chart.lines.map((line) => line.values);
    if (chart.across !== "time") return [chart.x, ...lines];
    const x = chart.x.slice(1).flatMap((end, bin) => [chart.x[bin], end]);
    return [x, ...lines.map((values) => values.slice(0, -1).flatMap((value) => [value, value]))];
  }

  // Where people expect ticks.
  const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];
  const STEPS_BYTES = [...Array(50).keys()].map((power) => 2 ** power);

  // On a logarithmic axis: powers of ten, what lies at 2 and 5 where there are few, and more where there are hardly any.
  function decades(u, ix, min, max) {
    const powers = Math.log10(max / min);
    const leads = powers < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : powers < 2.2 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
      ticks.push(...leads.map((lead) => lead * 10 ** power));
    }
    return ticks.filter((y) => y >= min && y <= max);
  }

  let plots = [];
  function draw() {
    plots.forEach(([plot]) => plot.destroy());
    plots = [];
    for (const chart of drawn.charts) {
      const place = document.querySelector(`#chart-${CSS.escape(chart.id)} .plot`);
      if (place) plots.push([new uPlot(options(chart, place), points(chart), place), place]);
    }
    root.dataset.drawn = plots.length;
  }
  new ResizeObserver(() => {
    for (const [plot, place] of plots) {
      if (plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: place.clientWidth < 500 ? 230 : 280 });
    }
  }).observe(document.body);

  // ---- light and dark -----------------------------------------------------------------------------------------------
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const wished = new URLSearchParams(location.hash.slice(1)).get("theme");
  if (wished === "dark" || wished === "light") root.dataset.theme = wished;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", draw);
  draw();
})();
