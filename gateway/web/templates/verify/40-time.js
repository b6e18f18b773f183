// Instants are BigInts of microseconds since 1970 in UTC.
const SECOND = 1_000_000n;
const QUARTER = 900n * SECOND;
const DAY_MS = 86_400_000;

function utcMs(year, month, day, hour = 0, minute = 0, second = 0) {
  const date = new Date(0); // Date.UTC would read the year 26 as 1926
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date;
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d).(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:Z|([+-])(\d\d):?(\d\d)(?::?(\d\d))?)$/;

function parseTime(value) {
  const bad = new Wrong("not a time with offset: " + String(value).slice(0, 40));
  const found = isText(value) && value.length <= 40 ? TIME.exec(value) : null;
  if (!found) throw bad;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((one) => Number(one || 0));
  const date = utcMs(year, month, day, hour, minute, second);
  if (
    year < 1 || date.getUTCDate() !== day || date.getUTCMonth() !== month - 1 ||
    hour > 23 || minute > 59 || second > 59
  )
    throw bad;
  const micro = BigInt((found[7] || "").padEnd(6, "0").slice(0, 6));
  const [hours, minutes, seconds] = found.slice(9, 12).map((one) => Number(one || 0));
  if (hours > 23 || minutes > 59 || seconds > 59) throw bad;
  const offset = BigInt((hours * 60 + minutes) * 60 + seconds) * (found[8] === "-" ? -SECOND : SECOND);
  const at = BigInt(date.getTime()) * 1000n + micro - offset;
  const inYear = new Date(Number(floorDiv(at, 1000n))).getUTCFullYear();
  if (inYear < 1 || inYear > 9999) throw bad;
  return at;
}

const timeText = (at) => new Date(Number(floorDiv(at, 1000n))).toISOString();

class Zone {
  constructor(name) {
    if (!isText(name)) throw new Wrong("timezone must be text");
    try {
      if (!/^[A-Za-z]/.test(name)) throw new RangeError(name);
      this.format = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
        timeZone: name, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
        hour: "numeric", minute: "numeric", second: "numeric",
      });
    } catch {
      throw new Wrong("tariff: unknown timezone");
    }
    this.known = new Map();
  }

  // How far its clocks were ahead of UTC. They change on quarters of an hour.
  offsetMs(ms) {
    const quarter = Math.floor(ms / 900_000) * 900_000;
    if (!this.known.has(quarter)) {
      const part = {};
      for (const { type, value } of this.format.formatToParts(quarter)) part[type] = Number(value);
      const wall = utcMs(part.year, part.month, part.day, part.hour, part.minute, part.second);
      this.known.set(quarter, wall.getTime() - quarter);
    }
    return this.known.get(quarter);
  }

  local(at) {
    const ms = Number(floorDiv(at, 1000n));
    const wall = ms + this.offsetMs(ms);
    const day = Math.floor(wall / DAY_MS);
    return { day, weekday: (((day + 3) % 7) + 7) % 7, minute: Math.floor((wall - day * DAY_MS) / 60_000) };
  }

  // The instants that a wall clock may mean: by the clocks before and after a change.
  instants(day, minute) {
    const wall = day * DAY_MS + minute * 60_000;
    return [-DAY_MS, DAY_MS].map((away) => BigInt(wall - this.offsetMs(wall + away)) * 1000n);
  }
}
