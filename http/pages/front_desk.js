// The tape chart: asks the API every few seconds, and draws rooms, nights and stays. Whatever guests typed is set as
// text, never as markup.

const POLL_MILLISECONDS = 5000;
const DAY_MILLISECONDS = 86_400_000;

const part = (id) => document.getElementById(id);
const view = { hotel: null, from: null, nights: 14 };
let hotels = [];
let drawn = "";
let shown = null;

// A date is a number of days since 1970 here, so that no time zone can shift it.
const dayOf = (text) => Math.round(Date.parse(`${text}T00:00:00Z`) / DAY_MILLISECONDS);
const textOf = (day) => new Date(day * DAY_MILLISECONDS).toISOString().slice(0, 10);
const spoken = (day, options) =>
  new Intl.DateTimeFormat(undefined, { timeZone: "UTC", ...options }).format(new Date(day * DAY_MILLISECONDS));

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

async function ask(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? `the server answered ${response.status}`);
  return answer;
}

async function askAll(path) {
  const entries = [];
  let cursor = "";
  do {
    const page = await ask(`${path}?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    entries.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return entries;
}

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  view.hotel = given.get("hotel");
  view.from = /^\d{4}-\d{2}-\d{2}$/.test(given.get("from") ?? "") ? dayOf(given.get("from")) : null;
  view.nights = [14, 21, 31].includes(Number(given.get("nights"))) ? Number(given.get("nights")) : 14;
}

function show(change) {
  Object.assign(view, change);
  const fields = { hotel: view.hotel, nights: view.nights };
  if (view.from !== null) fields.from = textOf(view.from);
  location.hash = new URLSearchParams(fields);
}

function place(made, row, column, columns = 1) {
  made.style.gridRow = row;
  made.style.gridColumn = `${column} / span ${columns}`;
  return made;
}

// Each night is two columns, so that a stay runs from the middle of one day to the middle of another.
const columnOf = (night) => 2 + 2 * night;

function nightClass(kind, day, businessDay) {
  const weekday = new Date(day * DAY_MILLISECONDS).getUTCDay();
  const weekend = weekday === 0 || weekday === 6 ? " weekend" : "";
  return kind + (day === businessDay ? " business" : weekend);
}

function headerRow(chart, business) {
  const cells = [place(element("div", "corner", "Room"), 1, 1)];
  for (let night = 0; night < view.nights; night++) {
    const day = dayOf(chart.from) + night;
    const cell = element("div", nightClass("day", day, business), spoken(day, { weekday: "short" }));
    cell.append(element("strong", "", spoken(day, { day: "numeric" })), spoken(day, { month: "short" }));
    cells.push(place(cell, 1, columnOf(night), 2));
  }
  return cells;
}

function typeRow(row, type, rooms, stays, first) {
  const cells = [place(element("div", "type", `${type.code} · ${type.name}`), row, 1)];
  for (let night = 0; night < view.nights; night++) {
    const day = first + night;
    const taken = stays.filter((stay) => dayOf(stay.arrival) <= day && day < dayOf(stay.departure)).length;
    const free = rooms.length - taken;
    const cell = element("div", free ? "free" : "free none", String(free));
    cell.title = `${free} of ${rooms.length} ${type.code} free`;
    cells.push(place(cell, row, columnOf(night), 2));
  }
  return cells;
}

function roomRow(row, room, stays, first, business) {
  const cells = [place(element("div", "room", room), row, 1)];
  for (let night = 0; night < view.nights; night++) {
    cells.push(place(element("div", nightClass("cell", first + night, business)), row, columnOf(night), 2));
  }
  return cells.concat(stays.map((stay) => bar(row, stay, first)));
}

function bar(row, stay, first) {
  const arrival = dayOf(stay.arrival) - first;
  const departure = dayOf(stay.departure) - first;
  const start = arrival < 0 ? columnOf(0) : columnOf(arrival) + 1;
  const end = departure >= view.nights ? columnOf(view.nights) : columnOf(departure) + 1;
  const edges = (arrival < 0 ? " early" : "") + (departure >= view.nights ? " late" : "");
  const text = (stay.pinned ? "● " : "") + stay.guest.name;
  const made = element("button", `stay ${stay.status}${edges}`, text);
  made.type = "button";
  made.title = `${stay.guest.name}, ${stay.locator}: ${stay.arrival} to ${stay.departure}`;
  made.setAttribute("aria-label", `${made.title}, ${stay.status.replace("_", " ")}, room ${stay.room}`);
  made.addEventListener("click", () => open(stay.id));
  return place(made, row, start, Math.max(end - start, 1));
}

function draw(hotel, chart) {
  const seen = JSON.stringify([hotel, chart]);
  if (seen === drawn) return;
  drawn = seen;
  const board = part("chart");
  const [left, top] = [board.scrollLeft, board.scrollTop];
  const first = dayOf(chart.from);
  const business = dayOf(chart.business_date);
  const cells = headerRow(chart, business);
  let row = 2;
  for (const type of hotel.room_types) {
    const stays = chart.bookings.filter((stay) => type.rooms.includes(stay.room));
    cells.push(...typeRow(row++, type, type.rooms, stays, first));
    for (const room of type.rooms) {
      cells.push(...roomRow(row++, room, stays.filter((stay) => stay.room === room), first, business));
    }
  }
  board.style.gridTemplateColumns = `minmax(5rem, max-content) repeat(${2 * view.nights}, minmax(1.45rem, 1fr))`;
  board.replaceChildren(...cells);
  board.scrollTo(left, top);
  part("business-date").textContent = `Business date ${spoken(business, { dateStyle: "full" })}`;
  part("from").value = chart.from;
  part("nights").value = String(view.nights);
}

function fillHotels() {
  const chooser = part("hotel");
  const known = [...chooser.options].map((option) => option.value).join();
  if (known !== hotels.map((hotel) => hotel.id).join()) {
    chooser.replaceChildren(...hotels.map((hotel) => new Option(hotel.name, hotel.id)));
  }
  if (!hotels.some((hotel) => hotel.id === view.hotel)) view.hotel = hotels[0]?.id ?? null;
  chooser.value = view.hotel;
}

async function refresh() {
  try {
    hotels = await askAll("/v1/hotels");
    fillHotels();
    part("nothing").hidden = hotels.length > 0;
    const hotel = hotels.find((one) => one.id === view.hotel);
    if (hotel) {
      const from = view.from ?? dayOf(hotel.business_date) - 2;
      const window = `from=${textOf(from)}&to=${textOf(from + view.nights)}`;
      draw(hotel, await ask(`/v1/hotels/${encodeURIComponent(hotel.id)}/tape-chart?${window}`));
    }
    part("message").hidden = true;
  } catch (error) {
    part("message").textContent = `The chart may be out of date: ${error.message}. Trying again …`;
    part("message").hidden = false;
  }
}

function facts(booking) {
  const guests = booking.adults + (booking.children.length ? ` + children of ${booking.children.join(", ")}` : "");
  return {
    Locator: booking.locator,
    Status: booking.status.replace("_", " "),
    Stay: `${booking.arrival} to ${booking.departure}, ${booking.nights} nights`,
    Room: `${booking.room} (${booking.room_type})${booking.pinned ? ", promised" : ""}`,
    Guests: guests,
    "E-mail": booking.guest.email,
    Phone: booking.guest.phone,
    Notes: booking.notes,
    Source: booking.source,
    "Held until": booking.expires_at,
    Fee: booking.fee && `${booking.fee.amount} ${booking.fee.currency}`,
  };
}

function priceRow(label, amount) {
  const row = element("tr", "");
  row.append(element("td", "", label), element("td", "", amount));
  return row;
}

async function open(id) {
  const path = `/v1/hotels/${encodeURIComponent(view.hotel)}/bookings/${encodeURIComponent(id)}`;
  const [booking, history] = await Promise.all([ask(path), ask(`${path}/history`)]);
  shown = document.activeElement;
  part("guest").textContent = booking.guest.name;
  const lines = Object.entries(facts(booking)).filter(([, value]) => value !== null && value !== "");
  part("facts").replaceChildren(
    ...lines.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", String(value))]),
  );
  const price = booking.price;
  part("price").replaceChildren(
    ...price.nights.map((night) => priceRow(night.date, night.amount)),
    priceRow("Total", `${price.total} ${price.currency}`),
  );
  part("history").replaceChildren(
    ...history.data.map((event) =>
      element("li", "", `${event.type.split(".").slice(1, -1).join(" ")}, ${event.time.slice(0, 16)}Z, ${event.by}`),
    ),
  );
  part("details").hidden = false;
  part("close").focus();
}

function close() {
  part("details").hidden = true;
  shown?.focus();
}

function firstDay() {
  return dayOf(part("from").value);
}

part("example").textContent = `curl -H 'Content-Type: application/json' ${location.origin}/v1/hotels -d '{
  "name": "Hotel do Mar", "timezone": "Europe/Lisbon", "currency": "EUR",
  "room_types": [{"code": "DBL", "name": "Double", "max_guests": 2,
                  "rate": {"amount": "120.00", "currency": "EUR"}, "room_count": 10}]}'`;
part("hotel").addEventListener("change", (event) => show({ hotel: event.target.value, from: null }));
part("nights").addEventListener("change", (event) => show({ nights: Number(event.target.value) }));
part("from").addEventListener("change", (event) => event.target.value && show({ from: dayOf(event.target.value) }));
part("back").addEventListener("click", () => show({ from: firstDay() - 7 }));
part("forward").addEventListener("click", () => show({ from: firstDay() + 7 }));
part("today").addEventListener("click", () => show({ from: null }));
part("close").addEventListener("click", close);
addEventListener("keydown", (event) => event.key === "Escape" && close());
addEventListener("hashchange", () => {
  readHash();
  refresh();
});
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
setInterval(() => document.visibilityState === "visible" && refresh(), POLL_MILLISECONDS);

readHash();
refresh();
