const SHAPES = ["✓", "◐", "–", "✕"];
const KINDS = ["good", "self", "open", "bad"];
const place = (id) => document.getElementById(id);

function node(tag, css, ...content) {
  const found = document.createElement(tag);
  if (css) found.className = css;
  found.append(...content);
  return found;
}

const asked = new URLSearchParams(location.search).get("lang");
let language = [asked, ...navigator.languages.map((one) => one.slice(0, 2))].find((one) => one in LANGUAGES) ?? "en";
let data = null; // the bytes of the receipt, or of the history
const brought = []; // files of heads and contracts: name, format, bytes
let told = null; // what was found of it
let turn = 0;

const decimalText = (value, digits) => {
  const text = String(value < 0n ? -value : value).padStart(digits + 1, "0");
  const cut = text.length - digits;
  const point = language === "en" ? "." : ",";
  return (value < 0n ? "−" : "") + text.slice(0, cut) + (digits ? point + text.slice(cut) : "");
};
const kwh = (milliwh) => decimalText(milliwh, 6).replace(/(\d\d\d)000$/, "$1");

function momentText(text, zone) {
  const format = { dateStyle: "medium", timeStyle: "short" };
  const at = new Date(text);
  try {
    return at.toLocaleString(language, { ...format, timeZone: zone });
  } catch {
    return text;
  }
}

// Amount, energy, time and place as the receipt has them: said only of what is a bill.
function factsOf({ receipt, isOpened }, said) {
  if (!isOpened) return "";
  const { bill, session, tariff } = receipt;
  const [due, after, energy, meter, time, charger] = said.facts;
  const list = node("dl");
  const row = (name, value) => list.append(node("dt", "", name), node("dd", "", value));
  const [digits, amount] = ["minor_digits", "amount_minor"].map((name) => bill.get(name));
  const isNumber = ["energy_milliwh", "register_start_milliwh", "register_end_milliwh"].every((name) => isInt(bill.get(name)));
  if (isInt(amount) && isCount(digits) && digits < 5n) {
    const money = (value) => `${decimalText(value, Number(digits))} ${bill.get("currency")}`;
    row(due, money(amount));
    const credited = receipt.leaves.reduce((sum, leaf) => (leaf.kind === "credit" ? sum + leaf.body.get("amount_minor") : sum), 0n);
    if (credited) row(after, money(amount - credited));
  }
  if (isNumber) {
    row(energy, kwh(bill.get("energy_milliwh")) + " kWh");
    row(meter, `${kwh(bill.get("register_start_milliwh"))} → ${kwh(bill.get("register_end_milliwh"))} kWh`);
  }
  const zone = tariff.get("timezone");
  row(time, [session.get("started_at"), session.get("ended_at")].map((one) => momentText(one, zone)).join(" – "));
  row(charger, `${session.get("station_id")} · ${session.get("evse_id")}`);
  return list;
}

function drawReport(said) {
  const { checks, verdict, receipt } = told;
  const level = VERDICTS.indexOf(verdict);
  const card = node("section", "verdict " + KINDS[level]);
  card.append(
    node("span", "sign", level === 2 ? SHAPES[0] : SHAPES[level]),
    node("div", "", node("h2", "", said.head[level]), node("p", "", level === 3 && !receipt ? said.history : said.sub[level])),
  );
  const list = node("ol", "checks");
  const isWrong = (one) => one.verdict === "false";
  const titleOf = (name) =>
    receipt || !CABINET_NAMES.includes(name) ? said.checks[NAMES.indexOf(name)] : said.cabinet[CABINET_NAMES.indexOf(name)];
  const rank = (one) => (isWrong(one) ? 0 : one.is_claimed ? 1 : 2);
  for (const check of [...checks].sort((one, other) => rank(one) - rank(other))) {
    const at = VERDICTS.indexOf(check.verdict);
    const row = node("li", KINDS[at]);
    row.append(
      node("span", "sign", SHAPES[at]),
      node(
        "div", "",
        node("b", "", titleOf(check.name)),
        node("p", "soft", node("code", "", check.name), " " + check.reason),
      ),
      node("span", "mark", said.mark[at]),
    );
    list.append(row);
  }
  place("report").replaceChildren(card, factsOf(told, said), list);
}

function draw() {
  const said = WORDS[language];
  document.documentElement.lang = language;
  document.title = said.title + " · Wattproof";
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = said[one.dataset.word];
  place("limit").replaceChildren(...said.limit.map((one) => node("li", "", one)));
  place("insecure").hidden = Boolean(subtle());
  place("languages").replaceChildren(
    ...Object.entries(LANGUAGES).map(([code, name]) => {
      const button = node("button", "", name);
      button.lang = code;
      button.setAttribute("aria-pressed", code === language);
      button.onclick = () => {
        language = code;
        draw();
      };
      return button;
    }),
  );
  drawBrought(said);
  if (told?.checks) drawReport(said);
  else if (told) {
    const why = node("div", "", node("h2", "", told.isBusy ? said.busy : told.isBug ? said.failed : told.isBad ? said.bad : said.none));
    if (told.error) why.append(node("p", "soft", told.error));
    place("report").replaceChildren(node("section", "verdict " + (told.isBusy ? "open" : "bad"), why));
  }
}

async function run() {
  if (!data) return;
  const mine = ++turn;
  told = { isBusy: true };
  draw();
  await new Promise((done) => setTimeout(done));
  let found;
  try {
    const files = (format) => brought.filter((one) => one.format === format).map((one) => one.bytes);
    found = await verifyFile(data, {
      rpc: place("rpc").value.trim(), meterKey: place("key").value.trim(), since: place("since").value,
      heads: files(FORMATS.heads), contracts: files(FORMATS.contracts).at(-1),
    });
  } catch (error) {
    found = { error: error.message, isBug: !(error instanceof NotReceipt), isBad: error instanceof NotUsable };
  }
  if (mine !== turn) return;
  told = found;
  draw();
}

// Heads and contracts are kept beside the file that is checked; what is none of these is that file.
async function take(files) {
  for (const file of [...files]) {
    const bytes = new Uint8Array(await file.slice(0, MAX_BYTES + 1).arrayBuffer());
    const format = formatOf(bytes);
    if (format === FORMATS.heads || format === FORMATS.contracts) brought.push({ name: file.name, format, bytes });
    else data = bytes;
  }
  draw();
  await run();
}

function formatOf(bytes) {
  try {
    return objectOf(bytes, "", MAX_BYTES).get("format");
  } catch (error) {
    if (error instanceof NotReceipt) return null;
    throw error;
  }
}

function drawBrought(said) {
  const buttons = brought.map((one) => {
    const button = node("button", "", `${one.name} ✕`);
    button.setAttribute("aria-label", `${said.remove}: ${one.name}`);
    button.onclick = () => {
      brought.splice(brought.indexOf(one), 1);
      draw();
      run();
    };
    return button;
  });
  place("brought").replaceChildren(...(buttons.length ? [said.also + ": ", ...buttons] : []));
}

place("file").onclick = (event) => {
  event.target.value = ""; // so that the same file may be chosen again
};
place("file").onchange = (event) => take(event.target.files);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
};
place("more").onsubmit = (event) => {
  event.preventDefault();
  run();
};
draw();
const carried = place("receipt");
if (carried) {
  data = toBytes(carried.textContent);
  run();
}

// For whoever asks from the console: the same checks, of a text; heads and contracts are texts, too.
globalThis.wattproof = {
  async verify(text, { heads = [], contracts = null, ...options } = {}) {
    try {
      const more = { heads: heads.map(toBytes), contracts: contracts && toBytes(contracts) };
      const { verdict, checks } = await verifyFile(toBytes(text), { ...options, ...more });
      return { verdict, checks };
    } catch (error) {
      if (error instanceof NotReceipt) return { error: error.message };
      throw error;
    }
  },
  record(text, salt) {
    try {
      parseRecord(text);
      return hex(sha256(commitment(unhex(salt), toBytes(text))));
    } catch (error) {
      if (error instanceof Wrong) return null;
      throw error;
    }
  },
  price(bill, tariff) {
    try {
      return checkBill(parseJson(bill), parseJson(tariff));
    } catch (error) {
      if (error instanceof Wrong) return [error.message];
      throw error;
    }
  },
};
