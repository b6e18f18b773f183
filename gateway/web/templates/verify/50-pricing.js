const MILLION = 1_000_000n;
const MAX_PART = 400n * 86_400n * SECOND;
const WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
const DIGITS = [
  ["BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF", 0n],
  ["BHD IQD JOD KWD LYD OMR TND", 3n],
];

const intOf = (row, name) => {
  const value = row.get(name);
  if (isInt(value)) return value;
  throw new Wrong(`${name} must be an integer`);
};
const intOrNull = (row, name) => ((row.get(name) ?? null) === null ? null : intOf(row, name));
const rowsOf = (value, name) => {
  if (Array.isArray(value) && value.every((one) => one instanceof Map)) return value;
  throw new Wrong(`${name} must be a list of objects`);
};
const elementsOf = (tariff) => rowsOf(tariff.get("elements"), "tariff: elements");
const isFull = (tariff) => elementsOf(tariff).some((element) => element.has("components"));

function minuteOf(value) {
  if ((value ?? null) === null) return 0;
  const found = isText(value) && /^(\d\d):(\d\d)$/.exec(value);
  const total = found ? Number(found[1]) * 60 + Number(found[2]) : NaN;
  if (found && Number(found[2]) < 60 && total <= 1440) return total % 1440;
  throw new Wrong("tariff: not a local time: " + String(value).slice(0, 20));
}

function dayOf(value) {
  if ((value ?? null) === null) return null;
  const found = isText(value) && /^(\d{4})-?(\d\d)-?(\d\d)$/.exec(value);
  if (found) {
    const [year, month, day] = found.slice(1).map(Number);
    const date = utcMs(year, month, day);
    if (year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day) return date.getTime() / DAY_MS;
  }
  throw new Wrong("tariff: not a date: " + String(value).slice(0, 20));
}

// Whether an element applies at a local time, by the clock and the calendar.
function appliesAt(element, local) {
  const isSaid = (value) => Array.isArray(value) ? value.length > 0 : value instanceof Map ? value.size > 0 : Boolean(value);
  const days = ["day_of_week", "days"].map((name) => element.get(name)).find(isSaid) ?? WEEKDAYS;
  if (!(Array.isArray(days) || isText(days)) || !days.includes(WEEKDAYS[local.weekday])) return false;
  const [first, after] = [dayOf(element.get("start_date")), dayOf(element.get("end_date"))];
  if ((first !== null && local.day < first) || (after !== null && local.day >= after)) return false;
  const [start, end] = [minuteOf(element.get("start_time")), minuteOf(element.get("end_time"))];
  const at = local.minute;
  return (start <= at && at < end) || (start >= end && (at >= start || at < end));
}

// Instants strictly inside a span at which prices may change, and every quarter of an
// hour, where all clock changes fall.
function edgesOf(begin, end, tariff, zone) {
  const clocks = new Set([0]);
  for (const element of elementsOf(tariff))
    for (const name of ["start_time", "end_time"]) clocks.add(minuteOf(element.get(name)));
  const found = [];
  for (let day = zone.local(begin).day - 1; day <= zone.local(end).day + 1; day++)
    for (const minute of clocks) for (const at of zone.instants(day, minute)) if (begin < at && at < end) found.push(at);
  for (let at = (floorDiv(begin, QUARTER) + 1n) * QUARTER; at < end; at += QUARTER) found.push(at);
  return found;
}

function partsOf(bill) {
  return rowsOf(bill.get("parts"), "bill: parts").map((row) => ({
    row, begin: parseTime(row.get("from")), end: parseTime(row.get("to")),
    energy: intOf(row, "energy_milliwh"), price: intOf(row, "price_micro_per_kwh"),
  }));
}

// Recomputes a bill; returns what is wrong with it.
function checkBill(bill, tariff) {
  const wrong = [];
  const currency = bill.get("currency");
  if (!isText(currency)) throw new Wrong("currency must be text");
  const digits = intOf(bill, "minor_digits");
  const parts = partsOf(bill);
  const [energy, amount] = [intOf(bill, "energy_milliwh"), intOf(bill, "amount_minor")];
  const [start, end] = [intOf(bill, "register_start_milliwh"), intOf(bill, "register_end_milliwh")];
  if (tariff.get("currency") !== currency) wrong.push("the currency is not the tariff's");
  const named = (row) => canonicalText(row.get("tariff_id") ?? null);
  if (named(bill) !== named(tariff)) wrong.push("the tariff id is not the tariff's");
  const due = DIGITS.find(([list]) => list.split(" ").includes(currency))?.[1] ?? 2n;
  if (digits !== due) return [...wrong, `${currency} has not ${digits} minor digits`];
  if (energy !== end - start || energy < 0n) wrong.push(`energy ${energy} mWh is not register ${end} - ${start}`);
  if (energy !== parts.reduce((sum, part) => sum + part.energy, 0n)) wrong.push("the parts do not add up to the energy");
  parts.forEach((part, at) => {
    if (part.energy < 0n) wrong.push("a part has negative energy");
    if (part.end < part.begin) wrong.push("a part ends before it begins");
    if (at && part.begin < parts[at - 1].end) wrong.push("parts overlap at " + timeText(part.begin));
  });
  const isLong = (part) => part.end - part.begin > MAX_PART;
  if (isFull(tariff)) {
    if (parts.some(isLong)) return [...wrong, "a part is longer than 400 days"];
    return [...wrong, ...checkFull(bill, tariff, parts, new Zone(tariff.get("timezone")))];
  }
  let zone = null;
  for (const part of parts) {
    if (isLong(part)) {
      wrong.push("a part is longer than 400 days");
      continue;
    }
    zone ??= new Zone(tariff.get("timezone"));
    for (const at of [part.begin, ...edgesOf(part.begin, part.end, tariff, zone)]) {
      const element = elementsOf(tariff).find((one) => appliesAt(one, zone.local(at)));
      if (!element) throw new Wrong("tariff: no price at " + timeText(at));
      if (!isInt(element.get("price_micro_per_kwh"))) throw new Wrong("tariff: a price must be an integer");
      if (element.get("price_micro_per_kwh") === part.price) continue;
      wrong.push(`the price at ${timeText(at)} is ${element.get("price_micro_per_kwh")}, not ${part.price}`);
      break;
    }
  }
  const exact = parts.reduce((sum, part) => sum + part.energy * part.price, 0n) * 10n ** digits;
  const cost = rounded(exact, MILLION * MILLION);
  if (cost !== amount) wrong.push(`the amount is ${cost} minor units, not ${amount}`);
  return wrong;
}
