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
let data = null; // the bytes of the receipt
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
function factsOf({ receipt, checks }, said) {
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
  return checks[1].verdict === "true" ? list : "";
}

function drawReport(said) {
  const { checks, verdict } = told;
  const level = VERDICTS.indexOf(verdict);
  const card = node("section", "verdict " + KINDS[level]);
  card.append(
    node("span", "sign", level === 2 ? SHAPES[0] : SHAPES[level]),
    node("div", "", node("h2", "", said.head[level]), node("p", "", said.sub[level])),
  );
  const list = node("ol", "checks");
  const isWrong = (one) => one.verdict === "false";
  for (const check of [...checks.filter(isWrong), ...checks.filter((one) => !isWrong(one))]) {
    const at = VERDICTS.indexOf(check.verdict);
    const row = node("li", KINDS[at]);
    row.append(
      node("span", "sign", SHAPES[at]),
      node(
        "div", "",
        node("b", "", said.checks[NAMES.indexOf(check.name)]),
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
  if (told?.receipt) drawReport(said);
  else if (told) {
    const why = node("div", "", node("h2", "", told.isBusy ? said.busy : told.isBug ? said.failed : said.none));
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
    found = await verifyReceipt(data, { rpc: place("rpc").value.trim(), meterKey: place("key").value.trim() });
  } catch (error) {
    found = { error: error.message, isBug: !(error instanceof NotReceipt) };
  }
  if (mine !== turn) return;
  told = found;
  draw();
}

async function take(file) {
  if (!file) return;
  data = new Uint8Array(await file.slice(0, MAX_BYTES + 1).arrayBuffer());
  await run();
}

place("file").onclick = (event) => {
  event.target.value = ""; // so that the same file may be chosen again
};
place("file").onchange = (event) => take(event.target.files[0]);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
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

// For whoever asks from the console: the same checks, of a text.
globalThis.wattproof = {
  async verify(text, options) {
    try {
      const { verdict, checks } = await verifyReceipt(toBytes(text), options);
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
