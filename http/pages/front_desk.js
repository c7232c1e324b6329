// The front desk's page: the address says what to show, the API says how it stands. It looks again as soon as it hears
// that something happened there; where it hears nothing, every few seconds.

import { ask, askAll, Refused } from "./asking.js";
import { closeBooking, drawBooking } from "./booking_details.js";
import { clockTime, counted, dayOf, isDate, shortDate, textOf } from "./days.js";
import { element, part } from "./elements.js";
import { follow, isLive, leave } from "./live.js";
import { barOf, drawChart, drawnHotel, markOpen } from "./tape_chart.js";

const NEWS_MILLISECONDS = 200;
const POLL_MILLISECONDS = 5_000;
const POLL_LIVE_MILLISECONDS = 60_000;
const NIGHTS_CHOICES = [14, 21, 31];
const NIGHTS_BEFORE_TODAY = 1;

let hotels = [];
let businessDay = null;
let updated = null;
let asking = new AbortController();
let nextLook = null;
let news = false;

// What the address asks for; without a `from`, the chart follows the business date.

function wanted() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [from, nights] = [given.get("from"), Number(given.get("nights"))];
  return {
    hotel: given.get("hotel"),
    from: isDate(from) ? from : null,
    nights: NIGHTS_CHOICES.includes(nights) ? nights : NIGHTS_CHOICES[0],
    booking: given.get("booking"),
  };
}

function address(change) {
  const said = Object.entries({ ...wanted(), ...change }).filter(([, value]) => value !== null);
  return `#${new URLSearchParams(said)}`;
}

function go(change) {
  location.hash = address(change);
}

function firstDay() {
  const { from } = wanted();
  return from === null ? businessDay - NIGHTS_BEFORE_TODAY : dayOf(from);
}

// Looking again

async function look() {
  asking.abort();
  const mine = (asking = new AbortController());
  clearTimeout(nextLook);
  news = false;
  try {
    await showAll(mine.signal);
    if (mine.signal.aborted) return;
    updated = clockTime();
    part("updated").textContent = isLive() ? `Live, up to date at ${updated}` : `Up to date at ${updated}`;
    say("");
  } catch (error) {
    if (mine.signal.aborted) return;
    if (drawnHotel() !== wanted().hotel) hideChart();
    say(complaint(error));
  }
  if (document.visibilityState === "visible") lookIn(news ? NEWS_MILLISECONDS : pollMilliseconds());
}

function lookIn(milliseconds) {
  clearTimeout(nextLook);
  nextLook = setTimeout(look, milliseconds);
}

const pollMilliseconds = () => (isLive() ? POLL_LIVE_MILLISECONDS : POLL_MILLISECONDS);

function hear() {
  if (news) return;
  news = true;
  lookIn(NEWS_MILLISECONDS);
}

async function showAll(signal) {
  const hotel = await chosenHotel(signal);
  part("nothing").hidden = hotel !== null;
  part("chart").hidden = hotel === null;
  if (hotel === null) return;
  businessDay = dayOf(hotel.business_date);
  await showChart(hotel, signal);
  await showBooking(hotel, signal);
  if (document.visibilityState === "visible") follow(hotel.id, hear);
}

async function chosenHotel(signal) {
  if (!hotels.some((hotel) => hotel.id === wanted().hotel)) {
    hotels = await askAll("/v1/hotels", signal);
    fillChooser();
  }
  if (!hotels.length) return null;
  const known = hotels.find((hotel) => hotel.id === wanted().hotel) ?? hotels[0];
  if (known.id !== wanted().hotel) history.replaceState(null, "", address({ hotel: known.id }));
  part("hotel").value = known.id;
  return ask(pathOf(known.id), signal);
}

async function showChart(hotel, signal) {
  const { nights } = wanted();
  const first = firstDay();
  part("from").value = textOf(first);
  part("nights").value = String(nights);
  const chart = await ask(`${pathOf(hotel.id)}/tape-chart?from=${textOf(first)}&to=${textOf(first + nights)}`, signal);
  drawChart(hotel, chart);
  part("summary").replaceChildren(...summary(chart));
  document.title = `${hotel.name} · Innkeeper`;
}

async function showBooking(hotel, signal) {
  const { booking } = wanted();
  markOpen(booking);
  if (booking === null) return;
  const path = `${pathOf(hotel.id)}/bookings/${encodeURIComponent(booking)}`;
  const [found, events] = await Promise.all([ask(path, signal), ask(`${path}/history`, signal)]);
  const opening = drawBooking(hotel, found, events.data);
  if (opening) barOf(booking)?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const pathOf = (hotel) => `/v1/hotels/${encodeURIComponent(hotel)}`;

function fillChooser() {
  const known = [...part("hotel").options].map((option) => option.value + option.text);
  if (known.join() === hotels.map((hotel) => hotel.id + hotel.name).join()) return;
  part("hotel").replaceChildren(...hotels.map((hotel) => new Option(hotel.name, hotel.id)));
}

// What the desk has before it today; it can only be told from a chart that shows last night and tonight.

function summary(chart) {
  const today = chart.business_date;
  const date = element("strong", "", {}, shortDate(dayOf(today)));
  if (!(chart.from < today && today < chart.to)) return [date];
  const inHouse = chart.bookings.filter((stay) => stay.status === "in_house");
  const dueIn = chart.bookings.filter((stay) => stay.status === "confirmed" && stay.arrival <= today);
  const dueOut = inHouse.filter((stay) => stay.departure <= today);
  return [date, ` · ${inHouse.length} in house · ${dueIn.length} due in · ${dueOut.length} due out`];
}

function complaint(error) {
  if (error instanceof Refused) return `This cannot be shown: ${error.message}.`;
  const last = updated === null ? "" : ` What you see is how things stood at ${updated}.`;
  return `The server cannot be reached.${last} Trying again every ${counted(POLL_MILLISECONDS / 1_000, "second")} …`;
}

function hideChart() {
  part("chart").hidden = true;
  part("summary").replaceChildren();
  updated = null;
}

function say(message) {
  if (part("message").textContent !== message) part("message").textContent = message;
  part("message").hidden = message === "";
  document.body.classList.toggle("troubled", message !== "");
}

// What the hands do

function close() {
  if (wanted().booking !== null) go({ booking: null });
  const closed = closeBooking();
  if (closed !== null) (barOf(closed) ?? part("chart")).focus();
}

function listen(id, kind, act) {
  part(id).addEventListener(kind, act);
}

function askForHotelsAnew() {
  hotels = [];
  look();
}

listen("hotel", "focus", askForHotelsAnew);
listen("hotel", "change", (event) => go({ hotel: event.target.value, from: null, booking: null }));
listen("nights", "change", (event) => go({ nights: Number(event.target.value) }));
listen("from", "change", (event) => isDate(event.target.value) && go({ from: event.target.value }));
listen("earlier", "click", () => go({ from: textOf(firstDay() - 7) }));
listen("later", "click", () => go({ from: textOf(firstDay() + 7) }));
listen("today", "click", () => go({ from: null }));
listen("close", "click", close);
listen("board", "click", (event) => {
  const bar = event.target.closest(".stay");
  if (bar) go({ booking: bar.dataset.booking });
});
addEventListener("keydown", (event) => event.key === "Escape" && close());
addEventListener("hashchange", () => {
  if (wanted().booking === null) close();
  look();
});
addEventListener("online", look);
document.addEventListener("visibilitychange", () => {
  clearTimeout(nextLook);
  leave();
  if (document.visibilityState === "visible") look();
});

part("example").textContent = `curl ${location.origin}/v1/hotels -H 'Content-Type: application/json' -d '{
  "name": "Hotel do Mar", "timezone": "Europe/Lisbon", "currency": "EUR",
  "room_types": [{"code": "DBL", "name": "Double", "max_guests": 2,
                  "room_count": 10, "rate": {"amount": "120.00", "currency": "EUR"}}]}'`;
look();
