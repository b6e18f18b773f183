// Tariffs that ask for more than energy: time, parking, flat fees, taxes, bounds.
const HOUR = 3_600n * MILLION;
const UNITS = { ENERGY: MILLION, TIME: HOUR, PARKING_TIME: HOUR, FLAT: 1n };
const STEPS = { ENERGY: 1_000n, TIME: MILLION, PARKING_TIME: MILLION, FLAT: 0n };
const SCALE = HOUR * MILLION * MILLION; // what sums of money are counted in: exact

function priceOf(row) {
  const kind = row.get("type");
  if (!isText(kind) || !Object.hasOwn(UNITS, kind)) throw new Wrong("tariff: a component has no known type");
  const found = { kind, micro: intOf(row, "price_micro"), vat: intOrNull(row, "vat_ppm"), step: intOf(row, "step_size") };
  found.id = [kind, found.micro, found.vat, found.step].join(" ");
  return found;
}

const pricesOf = (element) => rowsOf(element.get("components"), "components").map(priceOf);

// Parts in a row that say the same, with their energy and time.
function runsOf(parts, name) {
  const runs = [];
  for (const part of parts) {
    let run = runs.at(-1);
    if (!run || run.said !== part[name]) runs.push((run = { said: part[name], energy: 0n, span: 0n }));
    run.energy += part.energy;
    run.span += part.span;
  }
  return runs;
}

function checkFull(bill, tariff, parts, zone) {
  const elements = elementsOf(tariff);
  for (const part of parts) {
    const { row } = part;
    part.span = part.end - part.begin;
    part.lines = row.get("lines");
    if (!Array.isArray(part.lines) || !part.lines.every(isInt)) throw new Wrong("bill: lines of a part must be a list");
    part.isParked = row.get("is_parked") ?? null;
    if (![null, true, false].includes(part.isParked)) throw new Wrong("bill: is_parked must be true or false");
    part.power = intOrNull(row, "power_w");
  }
  const lines = rowsOf(bill.get("lines"), "lines");
  const prices = lines.map(priceOf);
  const kinds = new Set(elements.flatMap(pricesOf).map((price) => price.kind));
  const wrong = wrongStates(parts, elements, kinds);
  const volumes = lines.map(() => 0n);
  const last = new Map();
  let used = 0n;
  let hasFlat = false;
  parts.forEach((part, at) => {
    if (at && part.begin !== parts[at - 1].end) wrong.push("there is a gap before " + timeText(part.begin));
    const state = { milliwh: used, s: part.begin - parts[0].begin, w: part.power };
    wrong.push(...wrongSpan(part, state, elements));
    const named = part.lines.map((index) => {
      if (index < 0n || index >= BigInt(prices.length)) throw new Wrong(`bill: there is no line ${index}`);
      return prices[Number(index)];
    });
    const listed = (some, withFlat) =>
      [...new Set(some.filter((one) => withFlat || one.kind !== "FLAT").map((one) => one.id))].sort().join();
    for (const moment of [part.begin, ...edgesOf(part.begin, part.end, tariff, zone)]) {
      const isFirst = moment === part.begin;
      const due = dueAt(elements, part, state, zone.local(moment));
      if (listed(due, !hasFlat && isFirst) === listed(named, isFirst)) continue;
      wrong.push("other prices apply at " + timeText(moment));
      break;
    }
    if (part.energy && kinds.has("ENERGY") && !named.some((one) => one.kind === "ENERGY"))
      wrong.push(`the energy at ${timeText(part.begin)} has no price`);
    for (const index of part.lines) {
      const price = prices[Number(index)];
      const volume = { ENERGY: part.energy, FLAT: 1n }[price.kind] ?? part.span;
      volumes[Number(index)] += volume;
      if (volume) last.set(price.kind, price.id);
      hasFlat ||= price.kind === "FLAT";
    }
    used += part.energy;
  });
  return [...wrong, ...wrongLines(bill, tariff, lines, prices, volumes, last)];
}

function wrongStates(parts, elements, kinds) {
  const wrong = [];
  if (kinds.has("TIME") || kinds.has("PARKING_TIME"))
    for (const run of runsOf(parts, "isParked")) {
      const isLow = run.energy * 3_600_000n < 100n * run.span; // below 100 W
      if (run.said !== (run.span ? isLow : null)) wrong.push("a part is parking, or not, against its energy");
    }
  if (elements.some((one) => ["min_w", "max_w"].some((name) => intOrNull(one, name) !== null)))
    for (const run of runsOf(parts, "power")) {
      const due = run.span ? floorDiv(run.energy * 3_600_000n, run.span) : null;
      if (due !== run.said) wrong.push(`the average power is ${due} W, not ${run.said}`);
    }
  return wrong;
}

function wrongSpan(part, state, elements) {
  const wrong = [];
  const isOver = (from, bound, more) => bound !== null && from < bound && bound < from + more;
  for (const element of elements)
    for (const side of ["min", "max"]) {
      const [energy, time] = [intOrNull(element, side + "_milliwh"), intOrNull(element, side + "_s")];
      if (isOver(state.milliwh, energy, part.energy)) wrong.push(`a part steps over ${energy} mWh`);
      if (isOver(state.s, time === null ? null : time * MILLION, part.span)) wrong.push(`a part steps over ${time} s`);
    }
  return wrong;
}

// The prices that apply: per type the first of an element that holds.
function dueAt(elements, part, state, local) {
  const found = new Map();
  for (const element of elements)
    if (appliesAt(element, local) && holdsIn(element, state))
      for (const price of pricesOf(element)) if (!found.has(price.kind)) found.set(price.kind, price);
  if (part.isParked !== true) found.delete("PARKING_TIME");
  if (part.isParked !== false) found.delete("TIME");
  return [...found.values()];
}

function holdsIn(element, state) {
  for (const [name, unit] of [["milliwh", 1n], ["s", MILLION], ["w", 1n]]) {
    const [low, high] = [intOrNull(element, "min_" + name), intOrNull(element, "max_" + name)];
    if (low === null && high === null) continue;
    if (state[name] === null) return false;
    if ((low !== null && state[name] < low * unit) || (high !== null && state[name] >= high * unit)) return false;
  }
  return true;
}

function wrongLines(bill, tariff, lines, prices, volumes, last) {
  const wrong = [];
  const volumeOf = (kind) => volumes.reduce((sum, one, at) => (prices[at].kind === kind ? sum + one : sum), 0n);
  if (new Set(prices.map((one) => one.id)).size < prices.length) wrong.push("two lines have the same price");
  let [net, gross] = [0n, 0n];
  lines.forEach((line, at) => {
    const { kind, micro, vat, step, id } = prices[at];
    let billed = volumes[at];
    const hasSteps = step > 1n && STEPS[kind] && !(kind === "TIME" && volumeOf("PARKING_TIME") > 0n);
    if (last.get(kind) === id && hasSteps) billed += mod(-volumeOf(kind), step * STEPS[kind]);
    if (intOf(line, "volume") !== volumes[at] || intOf(line, "billed") !== billed)
      wrong.push(`${kind} is ${volumes[at]}, billed ${billed}`);
    const cost = billed * micro * (HOUR / UNITS[kind]);
    net += cost * MILLION;
    gross += cost * (MILLION + (vat ?? 0n));
  });
  let limit = null;
  for (const [name, isBeyond] of [["min_price", (x, y) => x < y], ["max_price", (x, y) => x > y]]) {
    const row = tariff.get(name) ?? null;
    if (row === null) continue;
    if (!(row instanceof Map)) throw new Wrong(`tariff: ${name} must be an object`);
    const [low, high] = ["excl_vat_micro", "incl_vat_micro"].map((one) => intOf(row, one) * (SCALE / MILLION));
    if (isBeyond(net, low) || isBeyond(gross, high)) limit = name;
    if (isBeyond(net, low)) net = low;
    if (isBeyond(gross, high)) gross = high;
  }
  if ((bill.get("limit") ?? null) !== limit) wrong.push(`the bound that made the amount is ${limit}`);
  const digits = 10n ** intOf(bill, "minor_digits");
  const due = { amount_minor: rounded(gross * digits, SCALE), net_minor: rounded(net * digits, SCALE) };
  due.vat_minor = due.amount_minor - due.net_minor;
  for (const [name, value] of Object.entries(due))
    if (intOf(bill, name) !== value) wrong.push(`${name} is ${value}, not ${bill.get(name)}`);
  return wrong;
}
