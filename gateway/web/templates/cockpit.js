(function () {
  "use strict";
  const places = new Map();
  const drawn = new Map();
  let heardAt = 0;
  let ageThen = 0;

  function place(key) {
    let found = places.get(key);
    if (!found || !found.isConnected || found.dataset.part !== key) {
      found = document.querySelector('[data-part="' + CSS.escape(key) + '"]');
      if (found) places.set(key, found);
    }
    return found;
  }

  // Changes only what differs, so that focus, selection and what is unfolded stay.
  function refill(target, html) {
    const wanted = document.createElement("template");
    wanted.innerHTML = html;
    morph(target, wanted.content);
  }

  function morph(target, wanted) {
    const present = Array.from(target.childNodes);
    const next = Array.from(wanted.childNodes);
    next.forEach((node, index) => {
      const old = present[index];
      if (!old) target.appendChild(node);
      else if (old.nodeName !== node.nodeName) target.replaceChild(node, old);
      else if (old.nodeType !== Node.ELEMENT_NODE) {
        if (old.data !== node.data) old.data = node.data;
      } else {
        dress(old, node);
        morph(old, node);
      }
    });
    present.slice(next.length).forEach((old) => old.remove());
  }

  function dress(old, node) {
    for (const { name } of Array.from(old.attributes)) {
      if (!node.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of Array.from(node.attributes)) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function take(message) {
    heardAt = performance.now();
    ageThen = Math.max(0, message.age_s);
    if (document.title !== message.title) document.title = message.title;
    for (const [key, html] of Object.entries(message.parts || {})) {
      const found = place(key);
      if (found) refill(found, html);
    }
    for (const [id, series] of Object.entries(message.charts || {})) {
      drawn.set(id, series);
      draw(id);
      fillTwin(id);
    }
    pulse();
  }

  function pulse() {
    const shown = document.getElementById("pulse");
    if (!shown) return;
    const silent = heardAt ? Math.round((performance.now() - heardAt) / 1000) : 0;
    const seconds = silent + ageThen;
    const isLate = seconds > 5;
    const cause = silent > 4 ? "reconnecting, " : "";
    const word = !heardAt ? "connecting" : isLate ? cause + "data " + seconds + " s old" : "live";
    shown.classList.toggle("late", isLate);
    shown.classList.toggle("live", Boolean(heardAt) && !isLate);
    const text = shown.querySelector("span");
    if (text.textContent !== word) text.textContent = word;
  }
  setInterval(pulse, 1000);

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue("--" + name).trim();
    return { ink: of("ink"), soft: of("soft"), line: of("line"), card: of("card"), load: of("charging"), price: of("price") };
  }

  function escaped(text) {
    const element = document.createElement("i");
    element.textContent = text;
    return element.innerHTML;
  }

  const clock = (ms) => new Date(ms).toISOString().slice(11, 16);

  function at(points, ms) {
    let value = null;
    for (const [when, here] of points) {
      if (when > ms) break;
      value = here;
    }
    return value;
  }

  function draw(id, tries) {
    const element = window.getElement(Number(id));
    const chart = element && element.chart;
    if (!chart) {
      if ((tries || 0) < 100) setTimeout(() => draw(id, (tries || 0) + 1), 50);
      return;
    }
    const series = drawn.get(id);
    if (chart.wattproofStyle !== scheme.matches) {
      chart.wattproofStyle = scheme.matches;
      chart.setOption(look(id));
    }
    const all = series.load.concat(series.limit, series.plan).map((point) => point[0]);
    const highest = Math.max(...series.load.concat(series.plan, series.limit).map((point) => point[1]), 1);
    chart.setOption({
      xAxis: { min: all.length ? Math.min(...all) : null, max: all.length ? Math.max(...all) : null },
      yAxis: [{ max: niceCeiling(highest * 1.08) }, { show: series.price.length > 0, name: series.unit }],
      series: [
        { id: "price", data: series.price },
        { id: "load", data: series.load },
        { id: "plan", data: series.plan, markLine: { data: [{ xAxis: series.now }] } },
        { id: "limit", data: series.limit },
      ],
    });
  }

  function niceCeiling(value) {
    const unit = Math.pow(10, Math.floor(Math.log10(value)));
    for (const step of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) if (step * unit >= value) return step * unit;
    return 10 * unit;
  }

  function look(id) {
    const c = colours();
    const label = { color: c.soft, fontSize: 11, hideOverlap: true };
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return {
      useUTC: true,
      animation: !calm,
      animationDuration: 0,
      animationDurationUpdate: 300,
      textStyle: { fontFamily: "inherit" },
      grid: { left: 4, right: 4, top: 22, bottom: 2, containLabel: true },
      tooltip: {
        trigger: "axis",
        confine: true,
        backgroundColor: c.card,
        borderColor: c.line,
        textStyle: { color: c.ink, fontSize: 12 },
        axisPointer: { lineStyle: { color: c.soft } },
        formatter: (points) => tooltip(points, drawn.get(id)),
      },
      xAxis: {
        type: "time",
        axisLine: { lineStyle: { color: c.line } },
        axisTick: { show: false },
        splitLine: { show: false },
        axisLabel: Object.assign({}, label, { formatter: clock }),
      },
      yAxis: [
        { type: "value", min: 0, name: "A", nameGap: 8, nameTextStyle: { color: c.soft, fontSize: 11, align: "right" }, axisLabel: label, splitNumber: 4, splitLine: { lineStyle: { color: c.line } } },
        { type: "value", scale: true, name: "", nameGap: 8, nameTextStyle: { color: c.soft, fontSize: 11, align: "right" }, axisLabel: Object.assign({ formatter: (v) => v.toFixed(2) }, label), splitNumber: 3, splitLine: { show: false } },
      ],
      series: [
        { id: "price", type: "line", step: "end", yAxisIndex: 1, showSymbol: false, lineStyle: { color: c.price, width: 1.5 }, itemStyle: { color: c.price }, data: [] },
        { id: "load", type: "line", showSymbol: false, lineStyle: { color: c.load, width: 2 }, itemStyle: { color: c.load }, areaStyle: { color: c.load, opacity: 0.14 }, data: [] },
        {
          id: "plan", type: "line", step: "end", showSymbol: false, lineStyle: { color: c.load, width: 2, type: [6, 4] }, itemStyle: { color: c.load }, areaStyle: { color: c.load, opacity: 0.06 }, data: [],
          markLine: { silent: true, symbol: "none", animation: false, lineStyle: { color: c.soft, width: 1, type: "solid" }, label: { formatter: "now", color: c.soft, fontSize: 11, position: "end" }, data: [] },
        },
        { id: "limit", type: "line", step: "end", showSymbol: false, lineStyle: { color: c.ink, width: 2, type: [10, 4] }, itemStyle: { color: c.ink }, data: [] },
      ],
    };
  }

  function tooltip(points, series) {
    const names = { load: "Load", plan: "Planned", limit: "Limit", price: "Price" };
    const rows = points.map((point) => {
      const value = point.value[1];
      return point.marker + names[point.seriesId] + " <b>" + (point.seriesId === "price" ? value.toFixed(3) + " " + escaped(series.unit) : value.toFixed(1) + " A") + "</b>";
    });
    return "<b>" + clock(points[0].value[0]) + " " + escaped(series.zone) + "</b><br>" + rows.join("<br>");
  }

  function fillTwin(id) {
    const twin = document.querySelector('details[data-chart="' + id + '"]');
    const series = drawn.get(id);
    if (!twin || !twin.open || !series) return;
    const figure = (value, digits) => (value === null ? "–" : value.toFixed(digits));
    const row = (when, load, plan, price) =>
      "<tr><th scope=row>" + clock(when) + "</th><td>" + figure(load, 1) + "</td><td>" + figure(plan, 1) + "</td><td>" + figure(at(series.limit, when), 0) + "</td><td>" + figure(price, 3) + "</td></tr>";
    const past = series.load.filter((_, index) => index % Math.ceil(series.load.length / 16) === 0).map((p) => row(p[0], p[1], null, null));
    const ahead = series.plan.map((p) => row(p[0], null, p[1], at(series.price, p[0])));
    twin.querySelector("div").innerHTML =
      "<table class=figures><thead><tr><th scope=col>Time (" + escaped(series.zone) + ")</th><th scope=col>Load A</th><th scope=col>Planned A</th><th scope=col>Limit A</th><th scope=col>" + escaped(series.unit) + "</th></tr></thead><tbody>" +
      past.concat(ahead).join("") + "</tbody></table>";
  }

  document.addEventListener("toggle", (event) => { if (event.target.dataset && event.target.dataset.chart) fillTwin(event.target.dataset.chart); }, true);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", () => drawn.forEach((_, id) => draw(id)));

  window.cockpit = { take: take };
})();
